"""Assets come whole or in ranges, and nothing else of the disk ever does."""

import os
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

BIG = "floods/floods_source/flood 1/VV.tif"


@pytest.fixture(scope="module")
def big(ask):
    item = ask("collections/floods_source/items/flood%201").json
    return item["assets"]["VV"]["href"]


@pytest.fixture(scope="module")
def assets(ask):
    """The address below which the assets of `fields` lie."""
    item = ask("collections/fields_source/items/field_1").json
    return item["assets"]["B04"]["href"].removesuffix("fields_source/field_1/B04.tif")


def test_every_asset_of_every_item_comes_byte_for_byte(ask, payloads):
    seen = set()
    for collection in ("fields_source", "fields_labels", "floods_source"):
        for item in ask(f"collections/{collection}/items").json["features"]:
            for asset in item["assets"].values():
                if asset["href"].startswith(ask.url):
                    seen.add(ask(asset["href"]).body)
    assert seen >= {body for path, body in payloads.items() if "_source/" in path}


@pytest.mark.parametrize(
    ("asset", "kind"),
    [
        ("fields_source/field_1/B04.tif", "image/tiff"),
        ("fields_source/field_1/cloud%20mask%20%231.png", "image/png"),
        ("fields_labels/label_1/labels.geojson", "application/geo+json"),
        ("fields_labels/readings.csv", "text/csv"),
        ("_common/documentation.pdf", "application/pdf"),
    ],
)
def test_media_types_are_right(ask, assets, asset, kind):
    answer = ask(assets + asset)
    assert answer.status == 200
    assert answer.headers["content-type"] == kind


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("0-0", 0, 1),
        ("5-9", 5, 10),
        ("600000-", 600000, None),
        ("-4", -4, None),
        ("0-99999999999999999999", 0, None),
        ("-9999999", 0, None),
        ("10-400000", 10, 400001),
    ],
)
def test_a_range_is_the_slice_of_the_whole(ask, big, payloads, asked, start, stop):
    answer = ask(big, range=f"bytes={asked}")
    assert answer.status == 206
    assert answer.body == payloads[BIG][start:stop]
    assert answer.headers["content-range"].endswith(f"/{len(payloads[BIG])}")
    assert int(answer.headers["content-length"]) == len(answer.body)


@settings(max_examples=60)
@given(first=st.integers(0, 1100), last=st.integers(0, 1100))
def test_any_range_is_the_slice_or_416(ask, assets, payloads, first, last):
    whole = payloads["fields/fields_source/field_1/B04.tif"]
    answer = ask(assets + "fields_source/field_1/B04.tif", range=f"bytes={first}-{last}")
    if first <= last and first < len(whole):
        assert (answer.status, answer.body) == (206, whole[first : last + 1])
    else:
        assert answer.status == 416
        assert answer.headers["content-range"] == f"bytes */{len(whole)}"


@pytest.mark.parametrize(
    "asked", ["bytes=-", "bytes=x-y", "bytes=-0", "bytes=9-1", "bytes=1-2-3", "bytes=" + "9" * 4000]
)
def test_bad_ranges_are_416(ask, big, asked):
    assert ask(big, range=asked).status == 416


@pytest.mark.parametrize("asked", ["bytes=0-1,5-6", "lines=1-2"])
def test_ranges_that_are_not_served_bring_the_whole(ask, big, payloads, asked):
    answer = ask(big, range=asked)
    assert (answer.status, answer.body) == (200, payloads[BIG])


def test_a_range_of_another_version_brings_the_whole(ask, big, payloads):
    etag = ask(big, method="HEAD").headers["etag"]
    assert ask(big, range="bytes=5-", if_range=etag).status == 206
    for other in ('"other"', f"W/{etag}", "Thu, 01 Jan 1970 00:00:00 GMT"):
        answer = ask(big, range="bytes=5-", if_range=other)
        assert (answer.status, answer.body) == (200, payloads[BIG])


def test_a_known_version_is_not_sent_again(ask, big):
    etag = ask(big, method="HEAD").headers["etag"]
    answer = ask(big, if_none_match=etag)
    assert (answer.status, answer.body) == (304, b"")


def test_head_tells_all_and_sends_nothing(ask, big, payloads):
    head = ask(big, method="HEAD")
    assert head.body == b""
    assert int(head.headers["content-length"]) == len(payloads[BIG])
    assert head.headers["accept-ranges"] == "bytes"
    assert ask(big, method="HEAD", range="bytes=0-9").status == 206


def test_the_etag_changes_with_the_file(hub, serving):
    path = hub / "fields" / "fields_labels" / "readings.csv"
    with serving(hub) as ask:
        address = ask("collections/fields_labels").json["assets"]["readings"]["href"]
        before = ask(address).headers["etag"]
        state = path.stat()
        path.write_bytes(path.read_bytes().replace(b"0.4", b"0.5"))
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns + 1))
        assert ask(address).headers["etag"] != before


@pytest.mark.parametrize(
    "trick",
    [
        "",
        ".",
        "/",
        "secret.txt",
        "catalog.json",
        "dataset.json",
        "fields_source",
        "fields_source/field_1/",
        "fields_source/field_1/field_1.json",
        "../fields/_common/documentation.pdf",
        "%2e%2e/fields/_common/documentation.pdf",
        "_common/../secret.txt",
        "_common%2F..%2Fsecret.txt",
        "_common//documentation.pdf",
        "./_common/documentation.pdf",
        "_common/documentation.pdf%00",
        "%00",
        "..%5c..%5cetc%5cpasswd",
        "/etc/passwd",
        "%2Fetc%2Fpasswd",
        "../../../../../../etc/passwd",
        "%ff%fe",
        "_common/documentation.pdf/",
        "_COMMON/documentation.pdf",
    ],
)
def test_only_what_the_catalog_names_is_served(ask, assets, trick):
    answer = ask(assets + trick)
    assert answer.status == 404
    assert b"root:" not in answer.body
    assert b"no catalog" not in answer.body


def test_assets_that_point_outside_their_dataset_are_not_served(ask, big):
    item = ask("collections/floods_source/items/flood%201").json
    assert item["assets"]["escape"]["href"] == "../../../fields/secret.txt"
    assert item["assets"]["root"]["href"] == "/etc/passwd"
    below = big[: big.index("floods_source")]
    assert ask(below + "../fields/secret.txt").status == 404
    assert ask(below + quote("../fields/secret.txt", safe="")).status == 404


@pytest.mark.parametrize("path", ["/assets/", "/assets/x/y", "/archives/x/y", "/assets/0/0/0"])
def test_guessed_segments_open_nothing(ask, path):
    assert ask(path).status == 404


def test_the_segment_of_an_archive_opens_no_assets(ask, assets):
    archive = ask("catalog/fields").headers["location"]
    token = archive.split("/archives/")[1].split("/")[0]
    assert ask(f"/assets/{token}/_common/documentation.pdf").status == 404
    token = assets.split("/assets/")[1].split("/")[0]
    assert ask(f"/archives/{token}/fields.tar.gz").status == 404


def test_a_symlink_out_of_the_dataset_is_refused(hub, serving, tmp_path):
    (tmp_path / "private.csv").write_bytes(b"private")
    readings = hub / "fields" / "fields_labels" / "readings.csv"
    readings.unlink()
    readings.symlink_to(tmp_path / "private.csv")
    with serving(hub) as ask:
        address = ask("collections/fields_labels").json["assets"]["readings"]["href"]
        assert ask(address).status == 404


def test_an_asset_that_is_gone_is_404(hub, serving):
    (hub / "fields" / "fields_labels" / "readings.csv").unlink()
    with serving(hub) as ask:
        address = ask("collections/fields_labels").json["assets"]["readings"]["href"]
        assert ask(address).status == 404


def test_html_among_the_assets_cannot_act_as_a_page_of_the_server(ask, big):
    headers = ask(big).headers
    assert "sandbox" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
