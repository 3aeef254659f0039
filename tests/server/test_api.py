"""The API says what the hub directory holds, in the old hub's dialect."""

from urllib.parse import quote, urlsplit

import pystac
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haversack.catalog import read_catalog
from haversack.download import download


def _ids(answer):
    return [one["id"] for one in answer.json]


def test_datasets_are_listed_with_what_the_catalog_and_dataset_json_say(ask):
    fields, floods = ask("datasets").json
    assert fields["title"] == "Crop fields of Kenya"
    assert fields["collections"] == [
        {"id": "fields_source", "types": ["source_imagery"], "license": "CC-BY-4.0"},
        {"id": "fields_labels", "types": ["labels"], "license": "CC-BY-4.0"},
    ]
    assert floods["doi"] == "10.9/floods"
    assert floods["tags"] == ["sentinel-1"]
    assert floods["bbox"]["type"] == "MultiPolygon"


def test_a_collection_of_labels_and_imagery_is_of_both_types(ask):
    assert ask("datasets/floods").json["collections"][0]["types"] == ["source_imagery", "labels"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("tags=crops", ["fields"]),
        ("tags=crop", []),
        ("tags=crops&tags=sentinel-2", ["fields"]),
        ("tags=crops&tags=sentinel-1", []),
        ("text=MAIZE", ["fields"]),
        ("text=maize&text=rice", ["fields"]),
        ("text=maize%20and%20rice", ["fields"]),
        ("text=maize%20rice", []),
        ("text=rainy%20season", ["fields", "floods"]),
        ("text=", ["fields", "floods"]),
        ("tags=sentinel-1&text=kenya", []),
    ],
)
def test_tags_match_exactly_and_each_text_is_a_phrase(ask, query, expected):
    assert _ids(ask(f"datasets?{query}")) == expected


def test_a_dataset_is_found_by_id_and_by_doi(ask):
    by_id = ask("datasets/fields").json
    assert by_id["id"] == "fields"
    assert ask("datasets/doi/10.1234/fields.v1").json == by_id
    assert ask("datasets/doi/10.1234%2Ffields.v1").json == by_id


def test_catalog_info_gives_the_sizes(ask, payloads):
    named = [path for path in payloads if path.startswith("fields/") and "secret" not in path]
    told = ask("catalog/fields/info").json
    archive = ask(urlsplit(ask("catalog/fields").headers["location"]).path)
    assert told == {
        "dataset": "fields",
        "stac_catalog_size": len(archive.body),
        "estimated_dataset_size": sum(len(payloads[path]) for path in named),
    }


def test_collections_lead_to_their_items_by_links(ask):
    found = ask("collections").json["collections"]
    assert [one["id"] for one in found] == ["fields_source", "fields_labels", "floods_source"]
    links = {link["rel"]: link["href"] for link in found[0]["links"]}
    assert "item" not in links
    assert ask(links["self"]).json == found[0]
    assert ask(links["items"]).json["context"]["matched"] == 2


def test_collection_assets_are_addressed(ask):
    readings = ask("collections/fields_labels").json["assets"]["readings"]["href"]
    assert ask(readings).body == b"plot,moisture\n1,0.4\n"


def test_items_come_in_pages_whose_links_lead_on_and_back(ask):
    first = ask("collections/fields_source/items?limit=1").json
    assert first["type"] == "FeatureCollection"
    assert first["context"] == {"limit": 1, "matched": 2, "returned": 1}
    links = {link["rel"]: link["href"] for link in first["links"]}
    assert "previous" not in links
    second = ask(links["next"]).json
    back = {link["rel"]: link["href"] for link in second["links"]}
    assert "next" not in back
    assert [page["features"][0]["id"] for page in (first, second)] == ["field_1", "field_2"]
    assert ask(back["previous"]).json["features"] == first["features"]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=-1",
        "limit=ten",
        "limit=10001",
        "limit=" + "9" * 5000,
        "limit=%C2%B2",
        "token=next:nobody",
        "token=field_1",
        "token=sideways:field_1",
        "token=",
        "token=%00",
    ],
)
def test_bad_pages_are_refused(ask, query):
    answer = ask(f"collections/fields_source/items?{query}")
    assert answer.status == 400
    assert "detail" in answer.json


def test_an_item_leads_to_its_neighbours_and_assets_by_absolute_addresses(ask):
    item = ask("collections/fields_labels/items/label_1").json
    links = [(link["rel"], link["href"]) for link in item["links"]]
    source = dict(links)["source"]
    assert ask(source).json["id"] == "field_1"
    assert [href for rel, href in links if rel == "about"] == ["https://example.org/about"]
    assert ask(dict(links)["self"]).json == item
    assert all(href.startswith("http") for _, href in links)


def test_assets_elsewhere_keep_their_address(ask):
    item = ask("collections/fields_source/items/field_2").json
    assert item["assets"]["far"]["href"] == "https://example.org/a.tif"


def test_shared_assets_have_one_address(ask):
    items = ask("collections/fields_source/items").json["features"]
    assert len({item["assets"]["documentation"]["href"] for item in items}) == 1


def test_an_item_whose_id_has_a_space_is_found(ask):
    assert ask("collections/floods_source/items/flood%201").json["id"] == "flood 1"


def test_models_are_items_that_say_so(ask):
    assert _ids(ask("models")) == ["both"]
    assert ask("models/both").json["type"] == "Feature"


@pytest.mark.parametrize(
    "path",
    [
        "datasets/nobody",
        "datasets/doi/10.1/nobody",
        "catalog/nobody",
        "catalog/nobody/info",
        "collections/nobody",
        "collections/nobody/items",
        "collections/fields_source/items/nobody",
        "archive/nobody",
        "archive/nobody/info",
        "models/nobody",
        "nothing",
    ],
)
def test_what_is_not_there_is_404_with_a_detail(ask, path):
    answer = ask(path)
    assert answer.status == 404
    assert isinstance(answer.json["detail"], str)


SHAPES = ["datasets/{}", "datasets/doi/{}", "catalog/{}/info", "collections/{}", "models/{}", "{}"]
SHAPES += ["collections/fields_source/items/{}", "collections/fields_source/items?token={}"]
SHAPES += ["datasets?text={}", "datasets?tags={}", "archive/{}", "collections/{}/items"]


@settings(max_examples=150)
@given(
    st.sampled_from(SHAPES),
    st.text(max_size=12).map(lambda text: quote(text.encode("utf-8", "replace"), safe="/"))
    | st.binary(max_size=12).map(lambda raw: quote(raw, safe="")),
)
def test_no_id_and_no_query_makes_the_server_fail(ask, shape, ident):
    answer = ask(shape.format(ident))
    assert answer.status in {200, 303, 400, 404}
    assert b"no catalog names this" not in answer.body


def test_only_get_and_head_are_answered(ask):
    assert ask("datasets", method="POST").status == 405
    head = ask("datasets", method="HEAD")
    assert head.body == b""
    assert int(head.headers["content-length"]) == len(ask("datasets").body)


def test_the_page_names_the_datasets_and_escapes_them(hub, serving):
    document = hub / "fields" / "dataset.json"
    document.write_text('{"title": "<script>alert(1)</script>", "id": "fields"}')
    with serving(hub) as ask:
        answer = ask("/")
    assert b"&lt;script&gt;" in answer.body
    assert b"<script" not in answer.body
    assert b"floods" in answer.body
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_health_is_told(ask):
    assert ask("/healthz").json == {"status": "ok"}


def test_the_root_that_documents_link_to_is_a_catalog_of_all_collections(ask):
    served = ask("collections").json["collections"]
    (root,) = [link["href"] for link in served[0]["links"] if link["rel"] == "root"]
    catalog = ask(root).json
    assert pystac.Catalog.from_dict(catalog).id == "haversack"
    assert ask(root.rstrip("/")).json == catalog
    children = [link["href"] for link in catalog["links"] if link["rel"] == "child"]
    assert [ask(href).json["id"] for href in children] == [one["id"] for one in served]


@pytest.mark.parametrize("slash", ["", "/"])
def test_all_that_is_served_can_be_downloaded_from_there(ask, tmp_path, slash):
    root = f"{ask.url}/mlhub/v1{slash}"
    report = download(root, tmp_path, raise_errors=False, catalog_only=True)
    here = read_catalog(report.path)
    assert {row.id for row in here.collections} >= {"fields_source", "fields_labels"}
    counts = [ask(f"collections/{row.id}/items").json["context"] for row in here.collections]
    assert len(here.items) == sum(count["matched"] for count in counts)


def test_the_page_says_how_to_reach_what_is_served(ask, ask_with_key):
    for asked, key in ((ask, False), (ask_with_key, True)):
        told = asked("/").body.decode()
        assert "export MLHUB_ROOT_URL=http://" in told
        assert "haversack list\nhaversack download ID" in told
        assert ("export MLHUB_API_KEY" in told) is key
