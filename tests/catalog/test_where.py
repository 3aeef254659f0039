"""SQL on properties says the same the first time and later, and what a look at each item says."""

import copy
import json
import sys
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.running import run_python

from haversack.catalog import properties, read_catalog
from haversack.errors import EmptySelectionError, FormatError, UsageError
from haversack.packed.manifests.index import make_table, plain_fields

ODD = ["a", "A", "x:y", 'qu"ote', "_own", "", "file_row_number", "deep"]


@pytest.fixture
def catalog_of(tmp_path, item):
    def make(found):
        path = tmp_path / "items.ndjson"
        path.write_text(
            "".join(
                json.dumps(item(f"i{row}", properties=each)) + "\n"
                for row, each in enumerate(found)
            )
        )
        return read_catalog(path)

    return make


def _rows(catalog, where, **filters):
    try:
        return catalog.select(where=where, **filters).items.tolist()
    except EmptySelectionError:
        return []
    except UsageError as error:
        return str(error)


def test_what_can_be_no_column_is_said(catalog_of):
    catalog = catalog_of([{"x": 1, "d": {"a": 1}, "s": 1}, {"x": "two", "s": 2, "n": None}])
    said = _rows(catalog, "x = 1")
    assert "no column can be 'd', 'x'" in said
    assert "it has 's' (" in said
    assert _rows(catalog, lambda found: found.get("x") == 1) == [0]
    assert "no column" not in _rows(catalog_of([{"s": 1}]), "y = 1")


def test_a_predicate_that_nothing_satisfies_blames_other_filters_only_where_there_are_any(
    catalog_of,
):
    catalog = catalog_of([{"s": 1, "datetime": "2020-05-17T10:00:00Z"}, {"s": 2}])
    with pytest.raises(EmptySelectionError, match="the 2 items of 'items' were all looked at"):
        catalog.select(where="s > 5")
    with pytest.raises(EmptySelectionError, match="were narrowed by the other filters first"):
        catalog.select(where="s > 5", datetime="2020-05-17")


def test_names_that_differ_in_case_alone_are_not_mistaken_for_each_other(catalog_of):
    catalog = catalog_of([{"a": 1}, {"A": 3}, {"a": 5, "A": 9}, {"s": 1}])
    for where in ('"A" >= 1', "a >= 1"):
        assert "no column can be 'A', 'a'" in _rows(catalog, where)
    assert _rows(catalog, "s = 1") == [3]


_numbers = st.one_of(st.integers(-9, 9), st.integers(-(2**63), 2**64 - 1), st.floats(-9, 9))
_scalars = st.one_of(st.none(), st.booleans(), _numbers, st.text(max_size=3), st.just("text"))
_values = st.one_of(
    _scalars,
    st.lists(_scalars, max_size=3),
    st.dictionaries(st.sampled_from(ODD), _scalars, max_size=2),
)
_items = st.lists(st.dictionaries(st.sampled_from(ODD), _values, max_size=5), min_size=1)
_whole = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


@_whole
@given(_items, st.integers(1, 3))
def test_columns_are_those_of_a_packed_datasets_index(catalog_of, monkeypatch, found, at_once):
    monkeypatch.setattr(properties, "_ROWS", at_once)
    catalog = catalog_of(found)
    _rows(catalog, "true")
    table, _ = make_table([""] * len(found), [plain_fields(each) for each in found], {}, None)
    columns = catalog.kept._columns.table.drop_columns(["_row"])
    names = {name for each in found for name in plain_fields(each)} | {"datetime"}
    # SQL knows no case: of two spellings none is a column.
    folded = [name.casefold() for name in names]
    alone = [each for each in table.column_names[1:] if folded.count(each.casefold()) == 1]
    assert columns.column_names == alone
    assert columns.to_pylist() == table.select(alone).to_pylist()


PREDICATES = ["a < 3", "a = 'text'", '"x:y" IS NULL', "deep IS NOT NULL", "len(a) = 2", "a", "a::"]


@_whole
@given(_items, st.lists(st.sampled_from(PREDICATES), min_size=2, max_size=4))
def test_a_kept_table_answers_as_a_new_one(catalog_of, found, predicates):
    catalog = catalog_of(found)
    assert [_rows(catalog, each) for each in predicates] == [
        _rows(catalog_of(found), each) for each in predicates
    ]


_KINDS = {
    "int": st.integers(-5, 5),
    "float": st.floats(-5, 5),
    "text": st.sampled_from(["", "a", "it's", "Ä€", "b"]),
    "bool": st.booleans(),
}


@st.composite
def _alike(draw):
    """Draw items whose values of a name are of one kind, null or missing, and a limit."""
    kind = draw(st.sampled_from(sorted(_KINDS)))
    value = st.one_of(_KINDS[kind], st.none(), st.just("missing"))
    found = draw(st.lists(value, min_size=1, max_size=30))
    limit = draw(_KINDS[kind])
    items = [{} if each == "missing" else {"x:y": each} for each in found]
    return [{"x:y": limit}, *items], limit


def _literal(value):
    return repr(value) if not isinstance(value, str) else "'" + value.replace("'", "''") + "'"


@_whole
@given(_alike())
def test_comparisons_choose_what_python_chooses(catalog_of, drawn):
    found, limit = drawn
    catalog = catalog_of(found)
    values = [each.get("x:y") for each in found]

    def expect(chosen):
        return [row for row, value in enumerate(values) if value is not None and chosen(value)]

    assert _rows(catalog, f'"x:y" = {_literal(limit)}') == expect(lambda value: value == limit)
    assert _rows(catalog, f'"x:y" <> {_literal(limit)}') == expect(lambda value: value != limit)
    assert _rows(catalog, f'"x:y" > {_literal(limit)}') == expect(lambda value: value > limit)
    nothing = [row for row, value in enumerate(values) if value is None]
    assert _rows(catalog, '"x:y" IS NULL') == nothing


def test_columns_are_those_of_the_items_that_other_filters_leave(catalog_of, item, tmp_path):
    lines = [
        item("one", collection="a", properties={"version": 1}),
        item("two", collection="a", properties={"version": 2}),
        item("three", collection="b", properties={"version": "three"}),
    ]
    path = tmp_path / "two.ndjson"
    path.write_text("\n".join(map(json.dumps, lines)))
    catalog = read_catalog(path)
    for _ in range(2):
        assert "version" in _rows(catalog, "version < 2")  # refused: it is of two types
        assert _rows(catalog, "version < 2", collection_filter={"a": []}) == [0]
        assert _rows(catalog, "version = 'three'", collection_filter={"b": []}) == [2]


def test_a_predicate_does_not_lay_out_the_same_items_again(catalog_of, monkeypatch):
    catalog = catalog_of([{"n": n} for n in range(20)])
    assert _rows(catalog, "n < 3") == [0, 1, 2]
    monkeypatch.setattr(properties, "_lay_out", None)
    assert _rows(catalog, "n > 17") == [18, 19]


def test_no_predicate_reads_a_file_however_many_came_before(catalog_of, tmp_path):
    (tmp_path / "other.csv").write_text("a\n1\n")
    catalog = catalog_of([{"n": 1}])
    for _ in range(3):
        assert _rows(catalog, "n = 1") == [0]
        for source in (f"'{tmp_path}/other.csv'", f"glob('{tmp_path}/*')", "columns"):
            assert "cannot choose by" in _rows(catalog, f"(SELECT count(*) FROM {source}) > 0")


def test_what_is_large_is_not_kept(catalog_of, monkeypatch):
    monkeypatch.setattr(properties, "_KEPT_MOST", 10)
    catalog = catalog_of([{"n": n} for n in range(20)])
    assert _rows(catalog, "n < 3") == [0, 1, 2]
    assert catalog.kept._columns is None


def test_what_is_kept_is_no_part_of_the_catalog(catalog_of):
    catalog = catalog_of([{"n": 1}])
    other = copy.copy(catalog)
    assert _rows(catalog, "n = 1") == [0]
    assert copy.deepcopy(catalog.kept)._columns is None
    assert catalog == other
    assert "kept" not in repr(catalog)


def test_nan_in_properties_is_null(catalog_of):
    catalog = catalog_of([{"n": 1.5}, {"n": float("nan")}])
    assert _rows(catalog, "n IS NULL") == [1]
    assert _rows(catalog, lambda found: found["n"] is None) == [1]


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (b"null", "Expected `object`, got `null` - at `$.properties`"),
        (b'{"datetime": 5}', "Expected `str | null`, got `int` - at `$.properties.datetime`"),
    ],
)
def test_properties_that_are_none_are_told_by_their_place(tmp_path, item, found, said):
    told = json.dumps(item("one", properties="HERE")).encode().replace(b'"HERE"', found)
    path = tmp_path / "items.ndjson"
    path.write_bytes(told)
    with pytest.raises(FormatError) as caught:
        read_catalog(path)
    assert str(caught.value).endswith(f"line 1 is not whole STAC: {said}")


def test_text_that_is_no_unicode_is_told_with_its_item(tmp_path, item):
    lines = [json.dumps(item(name, properties={"n": name})).encode() for name in ("one", "two")]
    path = tmp_path / "items.ndjson"
    path.write_bytes(b"\n".join(lines).replace(b'"n": "two"', b'"n": "\xff"'))
    with pytest.raises(FormatError, match=r"items\.ndjson#line 2 is not whole JSON"):
        read_catalog(path).select(where="n = 'one'")


def test_threads_may_ask_at_once(catalog_of):
    catalog = catalog_of([{"n": n} for n in range(50)])
    found = []

    def ask(limit):
        found.extend((limit, len(_rows(catalog, f"n < {limit}"))) for _ in range(20))

    threads = [threading.Thread(target=ask, args=(limit,)) for limit in range(1, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 120
    assert all(limit == count for limit, count in found)


FORKS = """
import os, signal, sys, threading
from haversack.catalog import read_catalog
catalog = read_catalog(sys.argv[1])
def ask():
    while True:
        for limit in (3, 5):
            assert len(catalog.select(where=f"n < {limit}").items) == limit
        catalog.select(where="n > 2", bbox=[10, 20, 10, 20])
catalog.select(where="n < 3")
for _ in range(2):
    threading.Thread(target=ask, daemon=True).start()
for _ in range(8):
    child = os.fork()
    if not child:
        signal.alarm(20)
        assert catalog.select(where="n > 497").items.tolist() == [498, 499]
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
os._exit(0)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="it does not fork")
def test_a_child_that_is_forked_amid_questions_can_ask(catalog_of):
    catalog = catalog_of([{"n": n} for n in range(500)])
    path = catalog.path / "items.ndjson"
    run_python(FORKS, path, flags=("-W", "ignore::DeprecationWarning"), timeout=120)
