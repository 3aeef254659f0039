"""Every example of the MLHub documents runs, ``radiant_mlhub`` replaced and nothing else.

Shell commands, IPython's ``%%time`` and printed results are left out; ``/tmp`` becomes a directory
of the test. Where a document contradicts itself, docs/migrating.md says what happens here.
"""

import contextlib
import io
import logging

import pytest
from tests.hub.old_hub import write_old_hub

from haversack.server import background

KEY = "the-key-of-the-documents"

FINDING = """
from radiant_mlhub import Dataset
datasets = Dataset.list()
for dataset in datasets[0:5]:  # print first 5 datasets, for example
    print(dataset)
"""

LOW_LEVEL = """
from radiant_mlhub.client import list_datasets
from pprint import pprint
datasets = list_datasets()
first_dataset = datasets[0]
pprint(first_dataset)
"""

FETCHING = """
from radiant_mlhub import Dataset
from pprint import pprint
dataset = Dataset.fetch_by_id('bigearthnet_v1')
print(dataset.id)

dataset = Dataset.fetch_by_doi("10.6084/m9.figshare.12047478.v2")

from radiant_mlhub.client import get_dataset
# These will all return the same dataset
first = Dataset.fetch("ref_african_crops_kenya_02")
dataset = Dataset.fetch("10.6084/m9.figshare.12047478.v2")

from radiant_mlhub.client import get_dataset_by_id
dataset = get_dataset_by_id('bigearthnet_v1')
pprint(dataset)
"""

COLLECTIONS = """
len(first_dataset.collections)
len(first_dataset.collections.source_imagery)
first_dataset.collections.source_imagery[0].id
len(first_dataset.collections.labels)
first_dataset.collections.labels[0].id
"""

BOTH_KINDS = """
same = (
    len(dataset.collections.source_imagery) + len(dataset.collections.labels)
    == len(dataset.collections)
)
"""

WHOLE = """
from radiant_mlhub.models import Dataset
nasa_marine_debris = Dataset.fetch_by_id('nasa_marine_debris')
print(nasa_marine_debris)
nasa_marine_debris.title
nasa_marine_debris.download()
"""

LOGGING = """
import logging
logging.basicConfig(level=logging.INFO)
logging.basicConfig(level=logging.DEBUG)
nasa_marine_debris.download()
"""

PLACES = """
# output_dir as string
nasa_marine_debris.download(output_dir='/tmp')

# output_dir as Path object
from pathlib import Path
nasa_marine_debris.download(output_dir=Path.home() / 'my_projects' / 'ml_datasets')
"""

SIZES = """
from radiant_mlhub import Dataset
dataset = Dataset.fetch('nasa_marine_debris')
print(dataset)
print(dataset.stac_catalog_size)  # OK the STAC catalog archive is only ~260KB
print(dataset.estimated_dataset_size)  # OK the total dataset assets are ~77MB
"""

FLOODS = """
from radiant_mlhub import Dataset
sen12floods = Dataset.fetch_by_id('sen12floods')
"""

ALL = "sen12floods.download()"

BY_KEYS = """
my_filter = dict(
    sen12floods_s2_source=['B02', 'B03', 'B04', 'B08'],   # Red, Green, Blue, NIR
    sen12floods_s2_labels=['labels', 'documentation'],
)
sen12floods.download(collection_filter=my_filter)
"""

BY_TIME = """
from dateutil.parser import parse

my_start_date=parse("2019-04-01T00:00:00+0000")
my_end_date=parse("2019-04-07T00:00:00+0000")
sen12floods.download(datetime=(my_start_date, my_end_date))
"""

BY_BOX = """
my_bbox = [
        -13.278254,
        8.447033,
        -13.231551,
        8.493532
]
sen12floods.download(bbox=my_bbox)
"""

BY_AREA = '''
import json
my_geojson = json.loads(
    """
    {
        "type": "Feature",
        "geometry": {
            "type": "Polygon",
            "coordinates": [
                [
                    [
                        -13.278048,
                        8.493532
                    ],
                    [
                        -13.278254,
                        8.447241
                    ],
                    [
                        -13.231762,
                        8.447033
                    ],
                    [
                        -13.231551,
                        8.493323
                    ],
                    [
                        -13.278048,
                        8.493532
                    ]
                ]
            ]
        }
    }
    """
)
sen12floods.download(intersects=my_geojson)
'''

CATALOG_ONLY = "sen12floods.download(catalog_only=True)"


@pytest.fixture(scope="module")
def old_hub(tmp_path_factory):
    root = tmp_path_factory.mktemp("old") / "hub"
    write_old_hub(root)
    with background(root, api_key=KEY) as server:
        yield server


@pytest.fixture
def run(old_hub, tmp_path, monkeypatch):
    """Run examples one after the other; give their names, and what the last printed."""
    monkeypatch.setenv("MLHUB_ROOT_URL", old_hub.api_root)
    monkeypatch.setenv("MLHUB_API_KEY", KEY)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    names: dict[str, object] = {}

    def run(*examples):
        for example in examples:
            code = example.replace("radiant_mlhub", "haversack")
            code = code.replace("'/tmp'", repr(str(tmp_path / "tmp")))
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(compile(code, "<example>", "exec"), names)
        return names, printed.getvalue()

    return run


def _assets(folder):
    suffixes = {".tif", ".pdf"}
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.suffix in suffixes}


def test_datasets_are_found(run):
    _, printed = run(FINDING)
    assert len(printed.splitlines()) == 5
    assert "umd_mali_crop_type: 2019 Mali CropType Training Data" in printed.splitlines()
    names, printed = run(LOW_LEVEL)
    assert names["first_dataset"]["id"] in printed


def test_a_dataset_is_fetched_by_id_and_doi(run):
    names, printed = run(FETCHING)
    assert printed.startswith("bigearthnet_v1\n")
    assert names["first"].id == "ref_african_crops_kenya_02"
    assert names["dataset"]["collections"] == [
        {"id": "bigearthnet_v1_s2_source", "types": ["source_imagery"]},
        {"id": "bigearthnet_v1_s2_labels", "types": ["labels"]},
    ]


def test_collections_are_listed_by_type(run):
    names, _ = run(FINDING)
    names["first_dataset"] = names["datasets"][0]
    run(COLLECTIONS)
    found = names["first_dataset"].collections
    assert (len(found), len(found.source_imagery), len(found.labels)) == (2, 1, 1)


def test_a_collection_of_both_kinds_is_in_both_lists_as_the_documents_warn(run):
    names, _ = run(FINDING, BOTH_KINDS)
    assert names["dataset"].id == "umd_mali_crop_type"
    assert names["same"] is False


def test_texts_and_tags_as_the_documents_explain_them(run):
    names, _ = run(FINDING)
    found = names["Dataset"].list
    assert [one.id for one in found(text=["maize", "rice"])] == ["ref_african_crops_kenya_02"]
    assert found(text=["maize rice"]) == []
    assert [one.id for one in found(text="land cover")] == ["sen12floods"]


def test_a_dataset_is_downloaded_whole_into_the_working_directory(run, tmp_path, capsys):
    _, printed = run(WHOLE)
    assert printed.startswith("nasa_marine_debris: Marine Debris Dataset for Object Detection")
    assert len(_assets(tmp_path / "work" / "nasa_marine_debris")) == 6
    shown = capsys.readouterr().err
    for step in ("fetch nasa_marine_debris.tar.gz", "download assets"):
        assert step in shown


def test_steps_are_logged_at_info_and_assets_and_requests_at_debug(run, caplog):
    run(WHOLE)
    with caplog.at_level(logging.DEBUG, "haversack"):
        run(LOGGING.replace("download()", "download(if_exists='overwrite')"))
    told = {n: [r.getMessage() for r in caplog.records if r.levelno == n] for n in (10, 20)}
    for line in (
        "unarchive nasa_marine_debris.tar.gz...",
        "create stac asset list...",
        "6 unique assets in stac catalog.",
        "assets saved to nasa_marine_debris",
    ):
        assert line in told[20]
    assert sum(" -> " in line for line in told[10]) == 6
    assert sum(line.startswith("GET ") for line in told[10]) >= 7


def test_the_output_directory_may_be_a_text_or_a_path(run, tmp_path):
    run(WHOLE, PLACES)
    for place in (tmp_path / "tmp", tmp_path / "home" / "my_projects" / "ml_datasets"):
        assert len(_assets(place / "nasa_marine_debris")) == 6


def test_sizes_are_told_before_a_download(run):
    _, printed = run(SIZES)
    title, catalog, dataset = printed.splitlines()
    assert title.startswith("nasa_marine_debris: ")
    assert int(catalog) > 0
    assert int(dataset) > 0


LABELS, SOURCE = "sen12floods_s2_labels", "sen12floods_s2_source"
SHARED = "_common/documentation.pdf"


def _chosen(items, keys=("B02", "B03", "B04", "B08", "B11")):
    return {
        SHARED,
        *(f"{LABELS}/{item}/labels.tif" for item in items),
        *(f"{SOURCE}/{item}/{key}.tif" for item in items for key in keys),
    }


@pytest.mark.parametrize(
    ("example", "chosen"),
    [
        (ALL, _chosen(["inside", "later", "elsewhere"])),
        (BY_KEYS, _chosen(["inside", "later", "elsewhere"], ["B02", "B03", "B04", "B08"])),
        (BY_TIME, _chosen(["inside", "elsewhere"])),
        (BY_BOX, _chosen(["inside", "later"])),
        (BY_AREA, _chosen(["inside", "later"])),
        (CATALOG_ONLY, set()),
    ],
)
def test_filters_choose_what_the_documents_say(run, tmp_path, example, chosen):
    run(FLOODS, example)
    place = tmp_path / "work" / "sen12floods"
    assert _assets(place) == chosen
    assert (tmp_path / "work" / "sen12floods.tar.gz").is_file()
    assert (place / "catalog.json").is_file()
