"""The real old client, with its own pins, finds in our server the hub that it knew."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from haversack.demo import make_hub
from haversack.download import download
from haversack.server import background

pytestmark = pytest.mark.compat

OLD_PYTHON = Path(sys.prefix) / "compat-mlhub" / "bin" / "python"
KEY = "the-key-of-the-old-client"
DATASETS = ["demo_crop_seasons", "demo_flood_events", "demo_soil_moisture_points"]
DATASET = DATASETS[0]
STATE = {"mlhub_stac_assets.db", "err_report.csv"}
COMMON = "_common"

SCRIPT = """
import json, sys
from radiant_mlhub import Collection, Dataset, client
{body}
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    root = tmp_path_factory.mktemp("hub")
    make_hub(root, small=True)
    return root


@pytest.fixture(scope="module")
def server(hub):
    with background(hub, api_key=KEY) as running:
        yield running


@pytest.fixture
def old(server, tmp_path):
    """Run statements in the old client's environment; they leave what they found in `told`."""

    def run(body, *arguments, key=KEY):
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "MLHUB_ROOT_URL": server.api_root,
            "MLHUB_API_KEY": key,
        }
        program = [str(OLD_PYTHON), "-c", SCRIPT.format(body=body), *arguments]
        done = subprocess.run(
            program, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return run


def _files(root):
    """Every file that is an asset, by its path below the root."""
    return {
        path.relative_to(root): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and path.name not in STATE and not _is_document(path)
    }


def _is_document(path):
    return path.name in {"catalog.json", "collection.json", "dataset.json"} or (
        path.suffix == ".json" and path.stem == path.parent.name
    )


def _apart(files):
    """Split the files into those of one item and the common ones, which clients place apart."""
    common = {path.name: body for path, body in files.items() if COMMON in path.parts}
    return {path: body for path, body in files.items() if COMMON not in path.parts}, common


def test_datasets_are_listed_and_searched(old):
    told = old(
        "searches = [{}, {'tags': ['agriculture']}, {'text': ['growing season']}]\n"
        "searches.append({'text': 'no such words'})\n"
        "told = [[one.id for one in Dataset.list(**search)] for search in searches]"
    )
    assert len(told[0]) == 3
    assert told[1:] == [[DATASET], [DATASET], []]


def test_a_dataset_is_fetched_by_id_and_doi_with_its_collections_and_sizes(old, hub):
    told = old(
        f"one = Dataset.fetch('{DATASET}'); other = Dataset.fetch(one.doi)\n"
        "told = [str(one), other.id, [c.id for c in one.collections.source_imagery],"
        " [c.id for c in one.collections.labels], one.stac_catalog_size,"
        " one.estimated_dataset_size]"
    )
    about = json.loads((hub / DATASET / "dataset.json").read_text())
    assert told[:2] == [f"{DATASET}: {about['title']}", DATASET]
    for kind, found in zip(("source_imagery", "labels"), told[2:4], strict=True):
        assert found == [one["id"] for one in about["collections"] if kind in one["types"]]
    assert told[4] > 0
    assert told[5] == sum(map(len, _files(hub / DATASET).values()))


def test_items_come_one_by_one_and_in_pages(old, hub):
    told = old(
        f"name = client.get_dataset_by_id('{DATASET}')['collections'][0]['id']\n"
        "pages = list(client.list_collection_items(name, page_size=2, limit=5))\n"
        "told = [name, [one['id'] for one in pages],"
        " client.get_collection_item(name, pages[0]['id'])['id'],"
        " Collection.fetch(name).fetch_item(pages[1]['id']).id, len(client.list_models())]"
    )
    name, ids, first, second, _ = told
    assert len(set(ids)) == 5
    assert [first, second] == ids[:2]
    assert all((hub / DATASET / name / item / f"{item}.json").is_file() for item in ids)


@pytest.mark.parametrize("dataset", DATASETS)
def test_a_whole_download_leaves_the_files_that_ours_leaves(old, hub, tmp_path, dataset):
    old(f"Dataset.fetch('{dataset}').download(sys.argv[1]); told = 1", str(tmp_path / "old"))
    with background(hub) as open_server:
        download(f"{open_server.api_root}catalog/{dataset}", tmp_path / "ours", name=dataset)
    theirs = _apart(_files(tmp_path / "old" / dataset))
    assert theirs == _apart(_files(tmp_path / "ours" / dataset))
    assert theirs == _apart(_files(hub / dataset))
    assert (tmp_path / "old" / dataset / "err_report.csv").read_bytes() == b""


def test_a_broken_download_is_resumed(old, hub, tmp_path):
    statement = f"Dataset.fetch('{DATASET}').download(sys.argv[1]); told = 1"
    old(statement, str(tmp_path))
    part = next((tmp_path / DATASET).rglob("*.tif"))
    whole = part.read_bytes()
    part.write_bytes(whole[:100])
    old(statement, str(tmp_path))
    assert part.read_bytes() == whole


def test_a_collection_archive_is_downloaded_in_ranges(old, tmp_path, server):
    told = old(
        f"name = client.get_dataset_by_id('{DATASET}')['collections'][0]['id']\n"
        "one = Collection.fetch(name); one.download(sys.argv[1]); told = [name, one.archive_size]",
        str(tmp_path),
    )
    name, size = told
    assert (tmp_path / f"{name}.tar.gz").stat().st_size == size


def test_a_wrong_key_is_the_old_clients_authentication_error(old):
    told = old(
        "from radiant_mlhub.exceptions import AuthenticationError\n"
        "try:\n    Dataset.list(); told = 'let in'\n"
        "except AuthenticationError:\n    told = 'refused'",
        key="wrong",
    )
    assert told == "refused"
