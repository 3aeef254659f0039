"""Datasets, collections, items and models, against the real server."""

import hashlib
import json
from datetime import UTC, datetime

import pystac
import pytest

import haversack.client
import haversack.models
import haversack.session
from haversack.errors import (
    AuthenticationError,
    EmptySelectionError,
    EntityDoesNotExist,
    ExistsError,
    MLHubException,
    UsageError,
)
from haversack.events import Event
from haversack.hub import Collection, Dataset, MLModel, client
from haversack.hub.dataset import CollectionList
from haversack.server import background

CROPS = "demo_crop_seasons"
SOURCE = f"{CROPS}_source"
LABELS = f"{CROPS}_labels"
EVERYWHERE = pystac.Extent(
    pystac.SpatialExtent([-180, -90, 180, 90]), pystac.TemporalExtent([None, None])
)


def test_old_import_paths_give_the_same_things():
    assert haversack.models.Dataset is Dataset
    assert haversack.client.get_dataset is client.get_dataset
    assert haversack.session.get_session is haversack.get_session
    assert set(haversack.client.__all__) <= set(dir(client))


# Finding


def test_datasets_are_listed(hub):
    assert [d.id for d in Dataset.list()] == [d["id"] for d in client.list_datasets()]
    assert len(Dataset.list()) == 3
    assert all(isinstance(dataset, Dataset) for dataset in Dataset.list())


def test_tags_must_all_match_exactly(hub):
    def found(tags):
        return [dataset.id for dataset in Dataset.list(tags=tags)]

    assert found("crop type") == found(["crop type", "segmentation"]) == [CROPS]
    assert found("crop") == found(["crop type", "flood"]) == []


def test_texts_are_phrases_that_must_all_match(hub):
    assert [d.id for d in Dataset.list(text="Generated Valley")] == [CROPS]
    assert [d.id for d in Dataset.list(text=["valley", "crop"])] == [CROPS]
    assert Dataset.list(text="Valley Generated") == []


def test_a_dataset_is_fetched_by_id_and_doi(hub):
    by_id = Dataset.fetch(CROPS)
    assert str(by_id) == f"{CROPS}: {by_id.title}"
    assert by_id.doi is not None
    for other in (
        Dataset.fetch_by_id(CROPS),
        Dataset.fetch(by_id.doi),
        Dataset.fetch_by_doi(by_id.doi),
        Dataset.fetch_by_doi(f"https://doi.org/{by_id.doi}"),
    ):
        assert (other.id, other.title, other.citation) == (CROPS, by_id.title, by_id.citation)
    assert client.get_dataset(CROPS) == client.get_dataset_by_id(CROPS)


@pytest.mark.parametrize(
    "ask",
    [
        lambda: Dataset.fetch("nothing"),
        lambda: Dataset.fetch("10.1/nothing"),
        lambda: client.get_catalog_info("nothing"),
        lambda: Collection.fetch("nothing"),
        lambda: client.get_collection_item(SOURCE, "nothing"),
        lambda: list(client.list_collection_items("nothing")),
        lambda: client.get_collection_archive_info("nothing"),
        lambda: MLModel.fetch("nothing"),
    ],
)
def test_what_does_not_exist_is_named_at_once(hub, ask):
    with pytest.raises(
        EntityDoesNotExist, match=r'"(10.1/)?nothing".* does not exist on the hub at'
    ):
        ask()


@pytest.mark.parametrize("name", ["..", ".", "", "../datasets", "a/../..", "%2e%2e", "a?b", "a#b"])
def test_an_odd_id_asks_for_nothing_else(hub, name):
    with pytest.raises(EntityDoesNotExist):
        client.get_dataset_by_id(name)
    with pytest.raises(EntityDoesNotExist):
        client.get_collection_item(SOURCE, name)


def test_collections_are_listed_by_their_types(hub):
    dataset = Dataset.fetch(CROPS)
    assert [c.id for c in dataset.collections] == [d["id"] for d in dataset.collection_descriptions]
    assert [c.id for c in dataset.collections.source_imagery] == [SOURCE]
    assert [c.id for c in dataset.collections.labels] == [LABELS]
    assert all(isinstance(c, Collection) for c in dataset.collections)


def test_a_collection_of_both_types_is_once_in_the_main_list(hub):
    one = Collection.fetch(SOURCE)
    both = CollectionList([one], {SOURCE: ["source_imagery", "labels"]})
    assert [len(both), len(both.source_imagery), len(both.labels)] == [1, 1, 1]


def test_sizes_are_the_servers(hub, tmp_path):
    dataset = Dataset.fetch(CROPS)
    dataset.download(tmp_path, progress=None, catalog_only=True)
    assert dataset.stac_catalog_size == (tmp_path / f"{CROPS}.tar.gz").stat().st_size
    assert (dataset.estimated_dataset_size or 0) > (dataset.stac_catalog_size or 0) > 0


def test_a_dataset_shows_itself_and_escapes():
    dataset = Dataset("a", [{"id": "<b>"}], title="<script>", unknown_field=1)
    assert repr(dataset) == "Dataset('a', '<script>')"
    assert "<script>" not in dataset._repr_html_()
    assert "&lt;b&gt;" in dataset._repr_html_()
    assert dataset.metadata["unknown_field"] == 1


@pytest.mark.parametrize("title", [None, ""])
def test_a_dataset_without_a_title_is_its_id(title):
    assert str(Dataset("a", [], title=title)) == "a"


def test_answers_cannot_set_the_key_or_the_hub(hub):
    from haversack.hub import get_session

    answer = {"id": "a", "collections": [], "api_key": "theirs", "root_url": "http://evil.example"}
    session = get_session()
    assert Dataset._of(answer, session)._access == {
        "api_key": None,
        "profile": None,
        "root_url": None,
        "session": session,
    }


# Collections, items, models


def test_a_collection_is_a_stac_collection(hub):
    collection = Collection.fetch(SOURCE)
    assert isinstance(collection, pystac.Collection)
    assert collection.extent.spatial.bboxes
    assert {c.id for c in Collection.list()} >= {SOURCE, LABELS}
    assert {c["id"] for c in client.list_collections()} == {c.id for c in Collection.list()}


def test_items_come_page_after_page(hub):
    every = list(client.list_collection_items(SOURCE, page_size=2, limit=None))
    assert len(every) > 10
    assert len({item["id"] for item in every}) == len(every)
    assert list(client.list_collection_items(SOURCE)) == every[:10]
    assert list(client.list_collection_items(SOURCE, limit=3)) == every[:3]
    assert [i.id for i in Collection.fetch(SOURCE).get_items()] == [i["id"] for i in every]


@pytest.mark.parametrize("asked", [{"limit": 10_001}, {"page_size": 1_000_000, "limit": None}])
def test_more_items_may_be_wanted_than_a_hub_gives_at_once(hub, asked):
    every = client.list_collection_items(f"{CROPS}_source", page_size=1, limit=None)
    ids = [item["id"] for item in every]
    many = client.list_collection_items(f"{CROPS}_source", **asked)
    assert [item["id"] for item in many] == ids != []


def test_an_item_is_fetched(hub):
    item_id = next(client.list_collection_items(SOURCE))["id"]
    collection = Collection.fetch(SOURCE)
    item = collection.fetch_item(item_id)
    assert isinstance(item, pystac.Item)
    assert [i.id for i in collection.get_items(item_id)] == [item_id]
    assert all(asset.href.startswith(hub.url.rstrip("/")) for asset in item.assets.values())


def test_a_collections_archive_is_downloaded_once(hub, tmp_path):
    collection = Collection.fetch(SOURCE)
    path = collection.download(tmp_path / "new")
    assert path == tmp_path / "new" / f"{SOURCE}.tar.gz"
    assert path.stat().st_size == collection.archive_size
    before = path.stat().st_mtime_ns
    for if_exists in ("resume", "skip"):
        assert collection.download(tmp_path / "new", if_exists=if_exists) == path
    assert path.stat().st_mtime_ns == before
    path.write_bytes(b"half")
    collection.download(tmp_path / "new")
    assert path.stat().st_size == collection.archive_size


def test_the_download_of_an_archive_tells_how_far_it_is(hub, tmp_path, caplog, capsys):
    collection, told = Collection.fetch(SOURCE), list[Event]()
    with caplog.at_level("INFO", "haversack"):
        path = collection.download(tmp_path / "a", progress=told.append)
    size = path.stat().st_size
    assert {(event.task, event.total, event.unit) for event in told} == {
        (f"fetch {SOURCE}.tar.gz", size, "B")
    }
    assert (told[-1].state, told[-1].done) == ("end", size)
    steps = [record.getMessage() for record in caplog.records if record.levelname == "INFO"]
    assert steps == [
        f"fetch {SOURCE}.tar.gz from {hub.api_root}archive/{SOURCE}...",
        f"archive saved to {path}",
    ]
    assert capsys.readouterr().err == ""
    client.download_collection_archive(SOURCE, tmp_path / "b")
    assert f"fetch {SOURCE}.tar.gz: 100%" in capsys.readouterr().err
    client.download_collection_archive(SOURCE, tmp_path / "c", progress=None)
    collection.download(tmp_path / "d", progress=False)
    assert capsys.readouterr().err == ""


@pytest.fixture
def hub_of_models(tmp_path, monkeypatch):
    """A hub that has two models and another item."""
    for name, properties in {
        "crops/v1": {"ml-model:type": "ml-model", "ml-model:learning_approach": "supervised"},
        "clouds": {"ml-model:type": "ml-model"},
        "image": {},
    }.items():
        item = pystac.Item(name, None, None, datetime(2023, 1, 1, tzinfo=UTC), properties)
        item.add_asset("weights", pystac.Asset(f"https://a.example/{name}.pt"))
        models = pystac.Collection("models", "models", EVERYWHERE)
        models.add_item(item)
        catalog = pystac.Catalog(f"models_{name.partition('/')[0]}", "models")
        catalog.add_child(models)
        root = str(tmp_path / "hub" / catalog.id)
        catalog.normalize_and_save(root, pystac.CatalogType.SELF_CONTAINED)
    with background(tmp_path / "hub") as server:
        monkeypatch.setenv("MLHUB_ROOT_URL", server.url)
        yield server


def test_the_models_of_a_hub_are_listed_and_fetched(hub_of_models):
    listed = MLModel.list()
    assert sorted(model.id for model in listed) == ["clouds", "crops/v1"]
    assert sorted(model["id"] for model in client.list_models()) == ["clouds", "crops/v1"]
    model = MLModel.fetch("crops/v1")
    assert isinstance(model, pystac.Item)
    assert isinstance(model, MLModel)
    assert model.properties["ml-model:learning_approach"] == "supervised"
    assert model.assets["weights"].href == "https://a.example/crops/v1.pt"
    assert client.get_model_by_id("crops/v1")["id"] == "crops/v1"


@pytest.mark.parametrize("name", ["image", "nobody's"])
def test_what_is_no_model_is_not_fetched_as_one(hub_of_models, name):
    with pytest.raises(EntityDoesNotExist, match=name):
        MLModel.fetch(name)


def test_a_hub_without_models_lists_none(hub):
    assert MLModel.list() == []


# Downloading


def test_a_dataset_is_downloaded_whole_and_only_once(hub, tmp_path):
    dataset = Dataset.fetch(CROPS)
    report = dataset.download(tmp_path, progress=None)
    assert (report.failed, report.waiting) == (0, 0)
    assert report.fetched > 20
    assert report.bytes > 0
    assert (tmp_path / CROPS / "catalog.json").exists()
    assert not list(tmp_path.rglob(".part-*"))
    again = dataset.download(tmp_path, progress=None)
    assert (again.fetched, again.present) == (0, report.fetched)


def test_every_asset_is_the_servers_byte_for_byte(hub, tmp_path):
    Dataset.fetch(CROPS).download(tmp_path, progress=None)
    catalog = pystac.Catalog.from_file(str(tmp_path / CROPS / "catalog.json"))
    checked = 0
    for item in catalog.get_items(recursive=True):
        for asset in item.assets.values():
            content = (tmp_path / CROPS / item.collection_id / item.id / asset.href).read_bytes()
            assert (
                asset.extra_fields["file:checksum"] == "1220" + hashlib.sha256(content).hexdigest()
            )
            checked += 1
    assert checked > 20


def test_filters_choose_what_is_fetched(hub, tmp_path):
    dataset = Dataset.fetch(CROPS)
    whole = dataset.download(tmp_path / "a", progress=None, dry_run=True)
    some = dataset.download(tmp_path / "b", progress=None, collection_filter={LABELS: []})
    assert 0 < some.fetched < whole.waiting
    with pytest.raises(EmptySelectionError):
        dataset.download(tmp_path / "c", progress=None, bbox=[100, 80, 101, 81])
    with pytest.raises(UsageError):
        dataset.download(tmp_path / "d", progress=None, bbox=[0, 0, 1, 1], intersects={})


def test_the_output_must_be_a_directory(hub, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ExistsError):
        Dataset.fetch(CROPS).download(tmp_path / "file", progress=None)


def test_the_key_is_carried_along_from_the_fetch(served, key, tmp_path, monkeypatch):
    monkeypatch.setenv("MLHUB_ROOT_URL", served.url)
    dataset = Dataset.fetch(CROPS, api_key=key)
    assert len(dataset.collections) == 2
    assert dataset.stac_catalog_size
    assert len(list(dataset.collections[0].get_items())) > 0
    assert dataset.download(tmp_path, progress=None).failed == 0
    (listed, *_) = Dataset.list(api_key=key)
    assert len(listed.collections) == 2


def test_another_key_can_be_given_for_the_download(served, key, tmp_path):
    dataset = Dataset.fetch(CROPS, api_key=key, root_url=served.url)
    with pytest.raises(AuthenticationError):
        dataset.download(tmp_path, progress=None, api_key="wrong")
    assert not list(tmp_path.iterdir())
    assert dataset.download(tmp_path, progress=None, api_key=key).failed == 0


def test_the_hub_is_carried_along_too(served, key, tmp_path):
    dataset = Dataset.fetch(CROPS, api_key=key, root_url=served.url)
    assert len(dataset.collections) == 2
    with pytest.raises(MLHubException, match="closed"):
        Dataset.fetch(CROPS, api_key=key)


def test_the_key_is_written_nowhere(hub, key, tmp_path):
    Dataset.fetch(CROPS).download(tmp_path, progress=None)
    for path in tmp_path.rglob("*"):
        assert not (path.is_file() and key.encode() in path.read_bytes()), path


def test_a_wrong_key_and_a_missing_hub_are_errors_of_their_own(served, monkeypatch):
    monkeypatch.setenv("MLHUB_ROOT_URL", served.url)
    with pytest.raises(AuthenticationError):
        Dataset.list(api_key="wrong")
    monkeypatch.setenv("MLHUB_ROOT_URL", "http://127.0.0.1:1/")
    with pytest.raises(MLHubException):
        Dataset.list()


def test_progress_is_told_step_by_step(hub, tmp_path):
    told = []
    Dataset.fetch(CROPS).download(tmp_path, progress=told.append)
    tasks = list(dict.fromkeys(event.task for event in told))
    assert tasks[0] == f"fetch {CROPS}.tar.gz"
    assert "download assets" in tasks
    assert json.dumps([event.done for event in told])
