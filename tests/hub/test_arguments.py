"""Arguments that cannot be meant are refused by name, before anything is asked of a hub."""

import inspect
from contextlib import suppress
from typing import Any, cast

import numpy as np
import pytest

import haversack
from haversack.errors import EntityDoesNotExist, HaversackError, UsageError
from haversack.hub import Collection, Dataset, MLModel, client, get_session

CLIENT, DATASET, MODEL = cast("tuple[Any, Any, Any]", (client, Dataset, MLModel))
SOURCE = "demo_crop_seasons_source"
TAKES_ACCESS: list[Any] = [
    Dataset.list,
    Dataset.fetch,
    Dataset.fetch_by_id,
    Dataset.fetch_by_doi,
    Collection.list,
    Collection.fetch,
    MLModel.list,
    MLModel.fetch,
    *(getattr(client, name) for name in haversack.client.__all__),
]
ANSWER = {
    "type": "Collection",
    "stac_version": "1.0.0",
    "id": "some",
    "description": "some",
    "license": "other",
    "links": [],
    "extent": {"spatial": {"bbox": [[0, 0, 1, 1]]}, "temporal": {"interval": [[None, None]]}},
}


@pytest.fixture
def asked(monkeypatch):
    """Fail at the first question that goes to the hub."""
    monkeypatch.setenv("MLHUB_ROOT_URL", "http://127.0.0.1:1/")
    monkeypatch.setattr("haversack.hub.session.request", lambda *_, **__: pytest.fail("asked"))


def _arguments(function):
    """Texts for what a function must have."""
    parameters = inspect.signature(function).parameters.values()
    return ["some"] * sum(
        p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD for p in parameters
    )


@pytest.mark.parametrize("function", TAKES_ACCESS)
@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"apikey": "open-sesame"}, "unknown keyword 'apikey'"),
        ({"tag": "nope"}, "unknown keyword 'tag'"),
        ({"session": "https://hub.example"}, "session is what get_session"),
        ({"api_key": 5}, "api_key is a text"),
        ({"profile": ["default"]}, "profile is a text"),
        ({"root_url": 5}, "root_url is a text"),
    ],
)
@pytest.mark.usefixtures("asked")
def test_every_function_refuses_keywords_that_it_does_not_know(function, wrong, told):
    with pytest.raises(TypeError, match=told) as caught:
        function(*_arguments(function), **wrong)
    assert isinstance(caught.value, UsageError)
    assert "open-sesame" not in str(caught.value)


@pytest.mark.parametrize("function", TAKES_ACCESS)
def test_every_function_takes_the_old_ones(function, hub, key, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with suppress(EntityDoesNotExist):
        function(*_arguments(function), api_key=key, profile=None, root_url=hub.url)


@pytest.mark.usefixtures("asked")
def test_a_collection_refuses_them_too():
    collection = Collection.of(ANSWER, get_session())
    for ask in (
        lambda: collection.fetch_item("some", apikey="K"),  # type: ignore[call-arg]
        lambda: collection.download(apikey="K"),  # type: ignore[call-arg]
        lambda: Dataset("some", []).download(apikey="K"),
        lambda: Dataset("some", []).download(api_key=5),  # type: ignore[arg-type]
    ):
        with pytest.raises(TypeError, match=r"apikey|api_key is a text"):
            ask()


def test_another_key_goes_to_the_hub_that_a_collection_is_of(served, key, monkeypatch):
    collection = Collection.fetch(SOURCE, api_key=key, root_url=served.url)
    monkeypatch.setenv("MLHUB_ROOT_URL", "http://127.0.0.1:1/")
    item = next(iter(collection.get_items()))
    assert collection.fetch_item(item.id, api_key=key).id == item.id
    with pytest.raises(HaversackError, match=f"{served.url}.* refuses the API key"):
        collection.fetch_item(item.id, api_key="another")


@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (lambda: DATASET.list(tags=5), "tags is a text or a list of texts, not 5"),
        (lambda: CLIENT.list_datasets(text=["a", 5]), "text is a text or a list of texts"),
        (lambda: CLIENT.list_datasets(tags={"crops": 1}), "tags is a text or a list of texts"),
        (lambda: CLIENT.list_collection_items("some", limit=-1), "limit is a whole number, 0"),
        (lambda: CLIENT.list_collection_items("some", limit="3"), "limit is a whole number"),
        (lambda: CLIENT.list_collection_items("some", page_size=0), "page_size is .*, 1 or more"),
        (lambda: CLIENT.list_collection_items("some", extensions=5), "extensions is a text or"),
        (lambda: CLIENT.list_collection_items(5), "a collection's id is a text, not 5"),
        (lambda: CLIENT.get_collection(5), "an id is a text, not 5"),
        (lambda: CLIENT.get_collection_item("some", None), "an id is a text, not None"),
        (lambda: CLIENT.get_dataset_by_doi(5), "a dataset's DOI is a text"),
        (lambda: DATASET.fetch_by_id(None), "an id is a text"),
        (lambda: CLIENT.get_dataset("\ud800"), "a dataset's id or DOI is no valid text"),
        (lambda: CLIENT.get_dataset_by_id("\ud800"), "an id is no valid text"),
        (lambda: CLIENT.list_datasets(tags=["\ud800"]), "tags is no valid text"),
        (lambda: CLIENT.list_collection_items("\ud800"), "a collection's id is no valid text"),
        (lambda: CLIENT.list_collection_items("some", limit=True), "limit is a whole number"),
        (lambda: CLIENT.list_collection_items("some", limit=np.bool_(True)), "a whole number"),
        (lambda: MODEL.fetch(5), "an id is a text"),
        (
            lambda: CLIENT.download_collection_archive("some", if_exists="bogus"),
            "if_exists is one of 'resume', 'skip', 'overwrite', not 'bogus'",
        ),
        (lambda: CLIENT.download_collection_archive("some", if_exists="sync"), "not 'sync'"),
        (lambda: CLIENT.download_collection_archive("some", 5), "a path is a text"),
        (lambda: CLIENT.download_collection_archive("some", progress=5), "progress is True"),
        (lambda: DATASET("some", []).download(progress=5), "progress is True"),
        (lambda: DATASET("some", []).download(secrets={"https://a.example": {}}), "bind each"),
        (lambda: DATASET("some", []).download(secrets={}), "bind each"),
        (lambda: DATASET("some", []).download(where=5, api_key="K"), "where is a text or a"),
        (lambda: DATASET("some", []).download(roles="data", api_key="K"), "roles are given as"),
        (lambda: DATASET("some", []).download(collection_filter=[], api_key="K"), "is a dict"),
        (lambda: DATASET("some", []).download(allow_hosts="a"), "allow_hosts is a list"),
        (lambda: DATASET("some", []).download(name="other"), "takes no name: .* as the hub does"),
        (lambda: DATASET("some", []).download(source="other"), "takes no source"),
    ],
)
@pytest.mark.usefixtures("asked")
def test_an_argument_that_cannot_be_meant_is_refused(ask, told):
    with pytest.raises(UsageError, match=told):
        ask()


def test_the_whole_numbers_of_numpy_are_such(hub):
    found = client.list_collection_items(SOURCE, limit=np.int64(2), page_size=np.uint8(1))  # type: ignore[arg-type]
    assert len(list(found)) == 2


def test_no_items_at_all_may_be_asked_for(hub):
    assert list(client.list_collection_items(SOURCE, limit=0)) == []
    assert CLIENT.list_datasets(tags={"crop type"}) == client.list_datasets(tags="crop type")
