"""Every public name of the old client is here too, or docs/migrating.md says what to use."""

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import haversack
from haversack import errors

MIGRATING = Path(__file__).parents[2] / "docs" / "migrating.md"
TEXT = MIGRATING.read_text("utf-8")

CLIENT = """download_collection_archive get_catalog_info get_collection get_collection_archive_info
    get_collection_item get_dataset get_dataset_by_doi get_dataset_by_id get_model_by_id
    list_collection_items list_collections list_datasets list_models"""
HERE = {
    "": "__version__ Collection Dataset MLModel get_session client models session exceptions",
    ".client": CLIENT,
    ".models": "Collection Dataset MLModel",
    ".session": "ANONYMOUS_PROFILE Session get_session",
    ".exceptions": "MLHubException AuthenticationError APIKeyNotFound EntityDoesNotExist",
}
ATTRIBUTES = {
    "Dataset": """collections title registry_url doi citation collection_descriptions
        stac_catalog_size estimated_dataset_size list fetch fetch_by_id fetch_by_doi download""",
    "Collection": """list fetch from_dict fetch_item get_items download registry_url
        archive_size""",
    "MLModel": "list fetch from_dict",
    "session.Session": "from_env from_config get paginate",
}
ELSEWHERE = """DownloadIfExistsOpts CatalogDownloader CatalogDownloaderConfig AssetRecord
    ResumableDownloader COMMON_ASSET_NAMES CollectionType radiant_mlhub.client.datasets
    radiant_mlhub.client.catalog_downloader radiant_mlhub.client.datetime_utils
    radiant_mlhub.client.resumable_downloader radiant_mlhub.models.dataset
    radiant_mlhub.retry_config radiant_mlhub.if_exists radiant_mlhub.cli session.params
    session.headers Session.DEFAULT_ROOT_URL API_KEY_ENV_VARIABLE PROFILE_ENV_VARIABLE
    ROOT_URL_ENV_VARIABLE MLHUB_HOME_ENV_VARIABLE requests.HTTPError"""


@pytest.mark.parametrize(
    ("module", "name"), [(module, name) for module, names in HERE.items() for name in names.split()]
)
def test_a_name_of_the_old_client_is_here_under_the_new_one(module, name):
    assert getattr(import_module(f"haversack{module}"), name) is not None


@pytest.mark.parametrize(
    ("owner", "name"),
    [(owner, name) for owner, names in ATTRIBUTES.items() for name in names.split()],
)
def test_what_the_old_objects_had_the_new_ones_have(owner, name):
    found: Any = haversack
    for part in owner.split("."):
        found = getattr(found, part)
    if found is haversack.Dataset:
        found = found("a", [])
        assert name in dir(found)
    else:
        assert hasattr(found, name)


@pytest.mark.parametrize("name", ELSEWHERE.split())
def test_an_old_name_that_is_not_here_is_told_with_what_to_use_instead(name):
    told = [line.split("|") for line in TEXT.splitlines() if line.startswith("|")]
    assert [cells[2] for cells in told if f"`{name}`" in cells[1]]


def test_old_names_of_errors_are_the_same_classes():
    for name in HERE[".exceptions"].split():
        assert getattr(import_module("haversack.exceptions"), name) is getattr(errors, name)


def test_the_anonymous_profile_asks_without_a_key(monkeypatch):
    monkeypatch.delenv("MLHUB_API_KEY", raising=False)
    session = haversack.get_session(profile="__anonymous__", root_url="https://hub.example")
    assert not session.secrets
