"""What haversack downloads from its server is what was served, and can be served again."""

import json

from haversack.demo import make_hub
from haversack.download import download

DATASET = "demo_crop_seasons"


def _assets(root):
    return {
        path.relative_to(root): path.read_bytes()
        for path in (root / DATASET).rglob("*")
        if path.is_file() and path.suffix not in {".json", ".db"} and path.name != "err_report.csv"
    }


def test_a_download_of_a_download_has_the_same_assets(tmp_path, serving):
    make_hub(tmp_path / "first", small=True)
    for source, target in (("first", "second"), ("second", "third")):
        with serving(tmp_path / source) as ask:
            url = f"{ask.url}{ask.api}/catalog/{DATASET}"
            download(url, tmp_path / target, name=DATASET)
    assert _assets(tmp_path / "third") == _assets(tmp_path / "first") != {}


def test_a_partial_download_is_served_with_the_rest_elsewhere(tmp_path, serving):
    make_hub(tmp_path / "first", small=True)
    collection = f"{DATASET}_source"
    with serving(tmp_path / "first") as origin:
        url = f"{origin.url}{origin.api}/catalog/{DATASET}"
        download(url, tmp_path / "second", name=DATASET, collection_filter={collection: ["image"]})
        with serving(tmp_path / "second") as ask:
            for item in ask(f"collections/{collection}/items").json["features"]:
                for key, asset in item["assets"].items():
                    here, there = (asset["href"].startswith(one.url) for one in (ask, origin))
                    assert (here, there) == (key == "image", key != "image"), key
                    assert (ask if here else origin)(asset["href"]).status == 200
            told = json.loads((tmp_path / "first" / DATASET / "dataset.json").read_text())
            assert ask(f"datasets/{DATASET}").json["id"] == told["id"]
