"""What a dataset is called whose source is a URL: after what the address says, and no secret."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haversack.download.sources import StacApi, name_of
from haversack.storage.names import component

HOST = "https://a.example"


@pytest.mark.parametrize(
    ("url", "name"),
    [
        (f"{HOST}/farms.tar.gz", "farms"),
        (f"{HOST}/farms.TAR.GZ", "farms"),
        (f"{HOST}/data/farms.tgz?sv=1&sig=secret", "farms"),
        (f"{HOST}/farms/catalog.json", "farms"),
        (f"{HOST}/farms/v1.0/collection.json", "farms"),
        (f"{HOST}/farms/2020", "2020"),
        (f"{HOST}/farms.v2.json", "farms.v2"),
        (f"{HOST}/items.ndjson", "items"),
        (f"{HOST}/items.parquet?sig=secret", "items"),
        (f"{HOST}/farms/v11/catalog.json", "farms"),
        (f"{HOST}/v11/catalog.json", "a.example"),
        (f"{HOST}/farms/v11.parquet", "v11"),
        (f"{HOST}/collections/sentinel-2/items?limit=100", "sentinel-2"),
        (f"{HOST}/api/stac/v1/search?token=secret", "a.example"),
        (f"{HOST}/a%20b%2Ffarms/", "farms"),
        (f"{HOST}/farms;jsessionid=secret/catalog.json", "farms"),
        (f"{HOST}/farms/..", "farms"),
        (f"{HOST}:8080/", "a.example"),
        (f"{HOST}", "a.example"),
        ("https://user:secret@a.example/", "a.example"),
        ("s3://bucket/", "bucket"),
        ("s3://bucket/floods/2020/", "2020"),
        (f"{HOST}/.json", ".json"),
        (StacApi(f"{HOST}/v1"), "a.example"),
        (StacApi(f"{HOST}/earth-search/v1?key=secret"), "earth-search"),
        ((f"{HOST}/a.tif", f"{HOST}/b.tif"), "files"),
    ],
)
def test_a_dataset_is_named_after_the_last_part_that_says_something(url, name):
    assert name_of(url) == name


@given(st.text(st.characters(blacklist_categories=["Cs"]), max_size=30), st.booleans())
def test_any_path_gives_a_name_that_is_one_component_and_holds_no_query(path, ends):
    name = name_of(f"{HOST}/{path.replace('?', '').replace('#', '')}{'/' * ends}?key=s3cr3t-key")
    assert name
    assert "s3cr3t-key" not in name
    assert "/" not in component(name)
    assert component(name) not in {".", ".."}
