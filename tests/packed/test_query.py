"""filter() chooses what the same predicate in pandas chooses."""

import socket
from datetime import date, timedelta

import numpy as np
import pytest

from haversack.errors import IntegrityError, UsageError
from haversack.packed import PackWriter, open_packed, pack


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    random = np.random.default_rng(0)
    with PackWriter(tmp_path_factory.mktemp("packed") / "ds", chunk_bytes=640) as writer:
        for n in range(200):
            writer.append(
                np.full(4, n),
                key=f"scene {n}",
                cloud=float(random.uniform(0, 100)) if n % 7 else None,
                label=f"{n % 5:03}",
                day=date(2020, 1, 1) + timedelta(n),
                bands=["red", "nir"][: n % 3],
                filename=f"{n}.tif",
                **({"sparse": n} if n % 2 else {}),
            )
    return open_packed(writer.path)


@pytest.mark.parametrize(
    ("predicate", "oracle"),
    [
        ("cloud < 10", lambda f: f.cloud.astype(float) < 10),
        ("cloud IS NULL", lambda f: f.cloud.isna()),
        (
            "label = '003' OR sparse > 150",
            lambda f: (f.label == "003") | (f["sparse"].astype(float) > 150),
        ),
        ("day BETWEEN '2020-02-01' AND '2020-02-29'", lambda f: f.day.map(lambda d: d.month == 2)),
        ("len(bands) = 2", lambda f: f.bands.map(len) == 2),
        ("_key LIKE '%7'", lambda f: f._key.str.endswith("7")),
        ("filename = '12.tif'", lambda f: f.filename == "12.tif"),
        ("_meta->>'$.label' = '001' -- a comment", lambda f: f.label == "001"),
        ("false", lambda f: f.label == "none"),
    ],
)
def test_a_predicate_chooses_what_pandas_chooses(scenes, predicate, oracle):
    frame = scenes.metadata()
    expected = np.flatnonzero(oracle(frame)).tolist()
    assert [int(r.data[0]) for r in scenes.filter(predicate)] == expected
    assert [int(r.data[0]) for r in scenes[50:120:3].filter(predicate)] == [
        n for n in range(50, 120, 3) if n in expected
    ]
    backwards = scenes[::-1].filter(predicate)
    assert [int(r.data[0]) for r in backwards] == expected[::-1]


@pytest.mark.parametrize(
    "predicate",
    [
        "",
        "cloud <",
        "altitude > 3",
        "true); SELECT (1",
        "sum(cloud) > 3",
        "cloud < 'x'",
        "1; SELECT 2",
    ],
)
def test_a_wrong_predicate_is_one_clear_error(scenes, predicate):
    with pytest.raises(UsageError, match="predicate|cannot filter") as caught:
        scenes.filter(predicate)
    assert len(str(caught.value).splitlines()) == 1


def test_a_column_of_several_types_names_them_and_the_cast(tmp_path):
    with PackWriter(tmp_path / "ds", chunk_bytes=1) as writer:
        writer.append([0], value=1, other=1)
        writer.append([1], value="two", other=2.5)
    ds = open_packed(tmp_path / "ds")
    assert len(ds.filter("other > 1")) == 1
    with pytest.raises(UsageError, match="int, text") as caught:
        ds.filter("value = 1")
    assert """CAST(_meta->>'$."value"' AS""" in str(caught.value)
    assert ds.filter("""TRY_CAST(_meta->>'$."value"' AS DOUBLE) = 1""")[0].data.tolist() == [0]


@pytest.mark.parametrize(
    "predicate",
    ["value <", "other < 'value'", "value('x')", "other = altitude", "other::DATE > 'value'"],
)
def test_only_who_asks_for_a_column_of_several_types_is_told_to_cast(tmp_path, predicate):
    ds = pack([([0], {"value": 1, "other": 1}), ([1], {"value": "two", "other": 2})], tmp_path)
    with pytest.raises(UsageError, match="cannot filter by .*the columns are: other") as caught:
        ds.filter(predicate)
    assert "TRY_CAST" not in str(caught.value)
    with pytest.raises(UsageError, match="column 'value' .*TRY_CAST"):
        ds.filter("VALUE > 3")


def test_names_that_differ_by_case_alone_do_not_mix(tmp_path):
    items = [([0], {"Label": "a", "label": "b"}), ([1], {"label": "a"})]
    ds = pack(items, tmp_path / "ds")
    assert ds[0].metadata == {"Label": "a", "label": "b"}
    with pytest.raises(UsageError, match="'Label', 'label' differ by case only") as caught:
        ds.filter("label = 'a'")
    assert "TRY_CAST" not in str(caught.value)
    assert ds.filter("""_meta->>'$."Label"' = 'a'""")[0].data.tolist() == [0]


def test_odd_names_and_values_stay_whole(tmp_path):
    odd = {'a "quoted" name': 1, "": 2, "_own": 3, "select": 4, "\ud800": 5, "text": "\udcff"}
    ds = pack([([0], odd), ([1], odd)], tmp_path / "it's")
    assert ds[1].metadata == odd
    assert len(ds.filter('"select" = 4 AND "a ""quoted"" name" = 1')) == 2
    assert ds.metadata()["_own"].tolist() == [3, 3]


def test_a_query_needs_no_network(scenes, monkeypatch):
    def refuse(*_):
        raise AssertionError

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert len(scenes.filter("TIMESTAMPTZ '2020-01-01 00:00:00+01' < now()")) == 200
    with pytest.raises(UsageError):
        scenes.filter("st_point(1, 2) IS NULL")


def test_a_damaged_index_is_named_and_not_queried(tmp_path):
    ds = pack([([0], {"n": 1})], tmp_path / "ds")
    (path,) = (tmp_path / "ds" / "index").iterdir()
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(data)
    for use in (lambda: ds.filter("n = 1"), ds.metadata, lambda: ds[0].metadata):
        with pytest.raises(IntegrityError, match="parquet"):
            use()
    assert [str(damage.path) for damage in ds.verify()] == [str(path)]
    assert ds[0].data.tolist() == [0]


@pytest.mark.parametrize(
    "predicate",
    [
        "EXISTS (SELECT * FROM read_text('{file}'))",
        "EXISTS (SELECT * FROM read_csv('{file}'))",
        "EXISTS (SELECT * FROM '{file}')",
        "1 = 1) OR (1 = 1",
        "true; COPY (SELECT 1) TO '{file}'",
        "true) UNION ALL SELECT 'x', 1 WHERE (true",
    ],
)
def test_a_predicate_reaches_no_other_file_and_is_one_expression(scenes, predicate, tmp_path):
    file = tmp_path / "secret.csv"
    file.write_text("a,b\n1,2\n")
    with pytest.raises(UsageError):
        scenes.filter(predicate.format(file=file))
    assert file.read_text() == "a,b\n1,2\n"


@pytest.mark.parametrize("name", ["file_row_number", "File_Row_Number"])
def test_metadata_may_be_named_like_duckdbs_own_columns(tmp_path, name):
    ds = pack([([n], {name: n + 5, "n": n}) for n in range(3)], tmp_path / "ds")
    assert ds.filter("n > 0").metadata()[name].tolist() == [6, 7]
    assert len(ds.filter(f"""CAST(_meta->>'$."{name}"' AS INT) = 5""")) == 1


def test_the_path_of_a_dataset_adds_no_columns(tmp_path):
    ds = pack([([0], {"year": 1999})], tmp_path / "year=2020" / "month=1")
    assert len(ds.filter("year = 1999")) == 1
    with pytest.raises(UsageError):
        ds.filter("month = 1")


def test_a_selection_of_nothing_has_the_columns_of_its_dataset(scenes):
    frame = scenes.filter("cloud > 1000").metadata()
    assert len(frame) == 0
    assert set(frame.columns) == set(scenes.metadata().columns)
    for name in ("label", "_key", "sparse", "day"):
        assert frame[name].tolist() == []
    assert (frame["cloud"] > 3).tolist() == []
    assert frame["label"].dtype == scenes.metadata()["label"].dtype
    assert len(scenes[:0].metadata()) == 0
