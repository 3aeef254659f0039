"""One damaged dataset takes no other down, and changes are seen."""

import json
import shutil

import pytest

from haversack.errors import FormatError, PathNotFoundError, UsageError
from haversack.server import create_app
from haversack.server.index import Index
from haversack.server.secret import secret_of, segment
from haversack.server.tree import find


def _served(index):
    return sorted(index.refresh().datasets)


DEEP = b'{"id": "x", "type": "Collection", "deep": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
DOCUMENTS = [
    "catalog.json",
    "dataset.json",
    "fields_source/collection.json",
    "fields_source/field_1/field_1.json",
]


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("catalog.json", b"{"),
        ("catalog.json", b"[]"),
        ("catalog.json", b'{"id": 5}'),
        ("catalog.json", b"\xff\xfe"),
        ("catalog.json", b'{"id": "fields", "links": [{"rel": "child", "href": "gone.json"}]}'),
        ("dataset.json", b"nonsense"),
        ("dataset.json", b"[]"),
        ("dataset.json", b'{"tags": "crops"}'),
        ("dataset.json", b'{"id": 7}'),
        ("fields_source/collection.json", b'{"id": "x", "type": "Collection", "extent": 5}'),
        ("fields_source/field_1/field_1.json", b""),
        *((path, DEEP) for path in DOCUMENTS),
        ("fields_source/field_1/field_1.json", b'{"id": "x", "assets": {"a": {}}}'),
    ],
)
def test_a_damaged_dataset_is_named_and_left_out(hub, caplog, path, content):
    (hub / "fields" / path).write_bytes(content)
    index = Index(hub)
    assert _served(index) == ["floods"]
    assert str(hub / "fields") in caplog.text
    count = len(caplog.records)
    _served(index)
    assert len(caplog.records) == count, "it is said once"


@pytest.mark.parametrize("path", ["catalog.json", "fields_source/field_1/field_1.json"])
def test_a_mended_dataset_is_served_again(hub, path):
    document = hub / "fields" / path
    whole = document.read_bytes()
    document.write_bytes(b"{")
    index = Index(hub)
    assert _served(index) == ["floods"]
    document.write_bytes(whole)
    assert _served(index) == ["fields", "floods"]


@pytest.mark.parametrize("depth", range(100, 1100, 50))
def test_no_nesting_of_one_dataset_takes_the_others_down(hub, serving, depth):
    about = b'{"id": "fields", "deep": ' + b"[" * depth + b"]" * depth + b"}"
    (hub / "fields" / "dataset.json").write_bytes(about)
    with serving(hub) as ask:
        assert ask("datasets/floods").status == 200
        assert {one["id"] for one in ask("datasets").json} >= {"floods"}


@pytest.mark.parametrize("path", DOCUMENTS)
def test_nan_and_infinity_are_read_as_null(hub, serving, path):
    document = hub / "fields" / path
    whole = json.loads(document.read_text())
    whole["properties"] = whole.get("properties", {}) | {"odd": [float("nan"), float("-inf")]}
    document.write_text(json.dumps(whole))
    assert "-Infinity" in document.read_text()
    with serving(hub) as ask:
        assert ask("datasets/fields").status == 200
        assert ask(ask("catalog/fields").headers["location"]).status == 200
        if path.endswith("field_1.json"):
            item = ask("collections/fields_source/items/field_1").json
            assert item["properties"]["odd"] == [None, None]


def test_new_changed_and_removed_datasets_are_seen(hub):
    index = Index(hub)
    shutil.copytree(hub / "floods", hub / "third")
    catalog = json.loads((hub / "floods" / "catalog.json").read_text())
    (hub / "third" / "catalog.json").write_text(json.dumps(catalog | {"id": "third"}))
    assert _served(index) == ["fields", "floods", "third"]
    shutil.rmtree(hub / "fields")
    assert _served(index) == ["floods", "third"]
    collection = hub / "floods" / "floods_source" / "collection.json"
    document = json.loads(collection.read_text())
    document["links"] = [link for link in document["links"] if "both" not in link["href"]]
    collection.write_text(json.dumps(document))
    assert list(index.refresh().collections["floods_source"][1].items) == ["flood 1"]


def test_an_unchanged_dataset_is_not_read_again(hub):
    index = Index(hub)
    assert index.refresh() is index.refresh()


def test_the_first_of_two_datasets_of_one_id_is_served(hub, caplog):
    shutil.copytree(hub / "fields", hub / "zfields")
    contents = Index(hub).refresh()
    assert contents.datasets["fields"].tree.home.name == "fields"
    assert "is taken" in caplog.text


def test_a_dataset_that_is_a_link_out_of_the_root_is_left_out(hub, tmp_path, caplog):
    shutil.move(hub / "fields", tmp_path / "elsewhere")
    (hub / "fields").symlink_to(tmp_path / "elsewhere")
    assert _served(Index(hub)) == ["floods"]
    assert "leads out" in caplog.text


@pytest.mark.parametrize("place", ["fields_labels/label_1", "fields_labels/label_1/label_1.json"])
def test_documents_behind_links_out_of_the_dataset_are_refused(hub, tmp_path, place):
    shutil.move(hub / "fields" / place, tmp_path / "elsewhere")
    (hub / "fields" / place).symlink_to(tmp_path / "elsewhere")
    assert _served(Index(hub)) == ["floods"]


def test_documents_that_link_in_circles_are_read_once(hub):
    collection = hub / "floods" / "floods_source" / "collection.json"
    document = json.loads(collection.read_text())
    document["links"].append({"rel": "child", "href": "../catalog.json"})
    collection.write_text(json.dumps(document))
    assert len(Index(hub).refresh().datasets["floods"].tree.documents) == 4


def test_files_and_directories_without_a_catalog_are_passed_over(hub):
    (hub / "notes.txt").write_text("hello")
    (hub / "empty").mkdir()
    (hub / ".hidden").mkdir()
    shutil.copy(hub / "floods" / "catalog.json", hub / ".hidden")
    assert _served(Index(hub)) == ["fields", "floods"]


def test_a_root_that_is_no_directory_is_named(tmp_path):
    with pytest.raises(PathNotFoundError, match="nowhere"):
        create_app(tmp_path / "nowhere")


def test_a_root_that_is_a_dataset_is_refused_naming_its_parent(hub):
    with pytest.raises(UsageError, match=f"give the directory that holds it, {hub}$"):
        create_app(hub / "fields")
    assert not (hub / "fields" / ".haversack").exists()


def test_a_directory_without_datasets_stays_as_it_is(tmp_path, hub):
    empty = tmp_path / "empty"
    empty.mkdir()
    index = Index(empty)
    assert list(empty.iterdir()) == []
    shutil.copytree(hub / "fields", empty / "fields")
    assert _served(index) == ["fields"]
    assert (empty / ".haversack" / "secret").exists()


def test_the_secret_is_made_once_for_its_owner_alone(tmp_path):
    first = secret_of(tmp_path)
    place = tmp_path / ".haversack" / "secret"
    assert place.stat().st_mode & 0o777 == 0o600
    assert secret_of(tmp_path) == first
    place.unlink()
    assert secret_of(tmp_path) != first


@pytest.mark.parametrize("content", ["", "zz", "ab" * 31])
def test_a_damaged_secret_is_named_not_replaced(tmp_path, content):
    place = tmp_path / ".haversack" / "secret"
    place.parent.mkdir()
    place.write_text(content)
    with pytest.raises(FormatError, match="hexadecimal"):
        secret_of(tmp_path)
    assert place.read_text() == content


def test_a_read_only_disk_still_serves(tmp_path, monkeypatch, caplog):
    from haversack.errors import StorageError
    from haversack.storage import publish

    def refuse(*_, **__):
        raise StorageError("read-only")

    monkeypatch.setattr(publish, "create", refuse)
    assert len(secret_of(tmp_path)) == 32
    assert "restarts" in caplog.text


def test_segments_differ_by_purpose_name_and_secret():
    known = {
        segment(secret, purpose, *names)
        for secret in (b"1", b"2")
        for purpose in ("assets", "catalog")
        for names in (("a", "b"), ("ab",), ("a",))
    }
    assert len(known) == 12


@pytest.mark.parametrize("href", ["a://[x?y", "a://h:99999/x#y", "x//[y?z"])
def test_an_href_that_is_no_url_is_found_nowhere(tmp_path, href):
    assert find(tmp_path, "catalog.json", href) in {None, "x/[y"}
