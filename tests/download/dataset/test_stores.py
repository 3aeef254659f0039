"""Objects of S3, Google and Azure come like any file; those of private buckets are signed for."""

import base64
import hashlib
import hmac
import json
import re
import subprocess
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote, unquote

import pytest

from haversack.catalog import read_catalog
from haversack.download import cloud, download
from haversack.download.origin import Origin
from haversack.download.secrets import Secrets
from haversack.download.stores import Stores
from haversack.errors import (
    AccessRefusedError,
    DownloadError,
    EmptySourceError,
    MissingExtraError,
    NetworkError,
    SourceNotFoundError,
    UnsupportedError,
    UsageError,
)

BODY = b"pixels" * 1000
AZURE_KEY = base64.b64encode(b"k" * 64).decode()
VARIABLES = re.compile("(AWS|AZURE|GOOGLE)_")


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch):
    """Nothing of the machine's own keys; nobody is asked for its identity."""
    import os

    for name in filter(VARIABLES.match, list(os.environ)):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:9")


@pytest.fixture
def amazon(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "an-id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sesame")


def _hmac(key, text):
    return hmac.digest(key, text.encode(), "sha256")


def _query(path):
    return dict(parse_qsl(path.partition("?")[2], keep_blank_values=True))


def _is_signed_for_s3(asked):
    """Work the signature of a request out as Amazon does (version 4, in the query)."""
    host = asked.headers["host"]
    path = asked.path.removeprefix(host)
    sent = _query(path)
    told = sent.pop("X-Amz-Signature", "")
    if not told:
        return False
    query = "&".join(f"{quote(k, safe='')}={quote(v, safe='')}" for k, v in sorted(sent.items()))
    path = quote(unquote(path.partition("?")[0]), safe="/")
    request = [asked.method, path, query, f"host:{host}", "", "host", "UNSIGNED-PAYLOAD"]
    scope = sent["X-Amz-Credential"].partition("/")[2]
    digest = hashlib.sha256("\n".join(request).encode()).hexdigest()
    key = b"AWS4sesame"
    for part in scope.split("/"):
        key = _hmac(key, part)
    text = f"AWS4-HMAC-SHA256\n{sent['X-Amz-Date']}\n{scope}\n{digest}"
    return hmac.compare_digest(told, _hmac(key, text).hex())


def _assets(folder):
    found = {}
    for path in folder.rglob("*.json"):
        document = json.loads(path.read_text())
        if document["type"] == "Feature":
            found[document["id"]] = path.parent / document["assets"]["data"]["href"]
    return {name: path.read_bytes() for name, path in found.items()}


# Addresses


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("s3://bucket/a b.tif", "https://bucket.s3.amazonaws.com/a%20b.tif"),
        ("S3://bucket/a.tif", "https://bucket.s3.amazonaws.com/a.tif"),
        ("gs://bucket/a#b.tif", "https://storage.googleapis.com/bucket/a%23b.tif"),
        ("az://acc/cont/a.tif", "https://acc.blob.core.windows.net/cont/a.tif"),
        (
            "abfss://cont@acc.dfs.core.windows.net/x/a.tif",
            "https://acc.blob.core.windows.net/cont/x/a.tif",
        ),
        ("abfs://$web@acc.dfs.core.windows.net/a", "https://acc.blob.core.windows.net/$web/a"),
        ("abfs://container/a.tif", None),
        ("s3://@evil.example#/a.tif", None),
        ("az://evil.example/c/a.tif", None),
        ("gs://a?b/c", None),
        ("https://a.example/a.tif", "https://a.example/a.tif"),
    ],
)
def test_an_address_of_a_store_is_one_of_the_web(address, url):
    assert Stores().url(address) == url


def test_an_endpoint_has_the_buckets_of_s3():
    stores = Stores(s3_endpoint="http://127.0.0.1:9000/")
    assert stores.url("s3://bucket/a b.tif") == "http://127.0.0.1:9000/bucket/a%20b.tif"
    assert stores.url("gs://bucket/a") == "https://storage.googleapis.com/bucket/a"
    assert stores.hosts == ("127.0.0.1:9000",)


@pytest.mark.parametrize("endpoint", ["minio", "https://a.example/?key=x", "https://u:p@a.example"])
def test_an_endpoint_that_is_none_is_refused(endpoint):
    with pytest.raises(UsageError):
        Stores(s3_endpoint=endpoint)


def test_who_pays_has_to_sign():
    with pytest.raises(UsageError, match="signed=True"):
        Stores(requester_pays=True)


def test_without_obstore_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr(cloud, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'haversack\[cloud\]'"):
        Stores(signed=True)
    assert Stores(s3_endpoint="https://a.example").url("s3://b/k")


# Public buckets


def _page(names, more="", sizes=None):
    found = "".join(
        f"<Contents><Key>{name}</Key><LastModified>2020-01-01T00:00:00.000Z</LastModified>"
        f"<Size>{(sizes or {}).get(name, len(BODY))}</Size></Contents>"
        for name in names
    )
    return f"<ListBucketResult>{found}{more}</ListBucketResult>".encode()


def test_a_public_bucket_is_listed_and_fetched(internet, tmp_path, make_answer):
    more = "<NextContinuationToken>t+1</NextContinuationToken>"
    pages = {None: _page(["x/a&amp;b.tif"], more), "t+1": _page(["x/c.tif"])}
    internet.answer(
        "b.s3.amazonaws.com/",
        lambda asked: make_answer(200, pages[_query(asked.path).get("continuation-token")]),
    )
    for name in ("a%26b.tif", "c.tif"):
        internet.file(f"b.s3.amazonaws.com/x/{name}", BODY)
    report = download("s3://b/x/", tmp_path)
    assert (report.fetched, report.failed) == (2, 0)
    assert _assets(tmp_path / "x") == {"a&b": BODY, "c": BODY}
    assert not [one for one in internet.asked if "authorization" in one.headers]


def _blobs(names, marker=""):
    md5 = base64.b64encode(hashlib.md5(BODY).digest()).decode()
    when = "Wed, 01 Jan 2020 00:00:00 GMT"
    found = "".join(
        f"<Blob><Name>{name}</Name><Properties><Creation-Time>{when}</Creation-Time>"
        f"<Last-Modified>{when}</Last-Modified><Etag>1</Etag><Content-Type>image/tiff</Content-Type><Content-Length>{len(BODY)}</Content-Length>"
        f"<Content-MD5>{md5}</Content-MD5></Properties></Blob>"
        for name in names
    )
    return (
        f'<?xml version="1.0"?><EnumerationResults><Blobs>{found}</Blobs>'
        f"<NextMarker>{marker}</NextMarker></EnumerationResults>"
    ).encode()


def test_a_public_container_is_listed_and_fetched(internet, tmp_path, make_answer):
    pages = {"": _blobs(["x/a&amp;b.tif"], "m 2"), "m 2": _blobs(["x/c.tif"])}
    internet.answer(
        "acc.blob.core.windows.net/cont",
        lambda asked: make_answer(200, pages[_query(asked.path)["marker"]]),
    )
    internet.file("acc.blob.core.windows.net/cont/x/a%26b.tif", BODY)
    internet.file("acc.blob.core.windows.net/cont/x/c.tif", BODY[:-1] + b"!")
    report = download("az://acc/cont/x/", tmp_path, raise_errors=False)
    assert report.fetched == 1
    assert ["md5" in failure.error for failure in report.failures] == [True]


def test_assets_in_stores_come_from_the_web(internet, tmp_path):
    places = {
        "a": ("az://acc/cont/a.tif", "acc.blob.core.windows.net/cont/a.tif"),
        "b": ("abfs://cont@acc.dfs.core.windows.net/b.tif", "acc.blob.core.windows.net/cont/b.tif"),
        "c": ("gs://buck/c.tif", "storage.googleapis.com/buck/c.tif"),
        "d": ("s3://buck/d.tif", "buck.s3.amazonaws.com/d.tif"),
    }
    report = _download_items(tmp_path, {name: href for name, (href, _) in places.items()}, {})
    assert report.failed == 4
    for _, path in places.values():
        internet.file(path, BODY)
    assert _download_items(tmp_path, {}, {}, retry_failed=True).failed == 0
    assert _assets(tmp_path / "items") == dict.fromkeys(places, BODY)


def _download_items(tmp_path, hrefs, stores, **options):
    source = tmp_path / "items.json"
    if hrefs:
        items = [
            {
                "type": "Feature",
                "stac_version": "1.0.0",
                "id": name,
                "collection": "c",
                "geometry": None,
                "properties": {"datetime": "2020-01-01T00:00:00Z"},
                "links": [],
                "assets": {"data": {"href": href}},
            }
            for name, href in hrefs.items()
        ]
        source.write_text(json.dumps({"type": "FeatureCollection", "features": items}))
    made = Stores(**stores)
    return download(source, tmp_path, stores=made, raise_errors=False, **options)


def test_an_address_without_a_bucket_or_account_is_told(tmp_path):
    report = _download_items(tmp_path, {"a": "abfs://container/a.tif"}, {})
    assert "name bucket or account" in report.failures[0].error


# Private ones


def _signing(others=None):
    secrets = Stores(signed=True).joined(others)
    assert secrets is not None
    return secrets


def _sign(url):
    credential = _signing().of(Origin.of(url))
    assert credential is not None
    return credential.sign("GET", url)


def test_a_private_bucket_is_listed_and_fetched(internet, tmp_path, make_answer, amazon):
    def region(asked):
        return make_answer(403, b"", {"x-amz-bucket-region": "eu-central-1"})

    def pages(asked):
        assert asked.headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=an-id/")
        assert "/eu-central-1/s3/" in asked.headers["authorization"]
        names = ["x/a b+(1).tif", "x/empty.txt", "x/sub/", "x/sub/c.tif"]
        return make_answer(200, _page(names, sizes={"x/empty.txt": 0, "x/sub/": 0}))

    def file(asked):
        return make_answer(200 if _is_signed_for_s3(asked) else 403, BODY)

    internet.answer("s3.amazonaws.com/priv", region)
    internet.answer("priv.s3.amazonaws.com/", pages)
    internet.answer("priv.s3.amazonaws.com/x/a%20b%2B%281%29.tif", file)
    internet.answer("priv.s3.amazonaws.com/x/sub/c.tif", file)
    internet.file("priv.s3.amazonaws.com/x/empty.txt", b"")
    report = download("s3://priv/x/", tmp_path, stores=Stores(signed=True))
    assert (report.fetched, report.failed) == (3, 0)
    assert _assets(tmp_path / "x") == {"a b+(1)": BODY, "c": BODY, "empty": b""}
    assert not [path for path in tmp_path.rglob("*.json") if "X-Amz" in path.read_text()]


def test_one_object_of_a_private_bucket_is_a_source_too(server, tmp_path, make_answer, amazon):
    head = {"Last-Modified": "Wed, 01 Jan 2020 00:00:00 GMT", "ETag": '"1"'}
    server.answer("/priv", make_answer(200, _page([])))
    server.answer("/priv/x/a.tif", make_answer(200, BODY, head))
    stores = Stores(signed=True, s3_endpoint=server.url("/"))
    report = download("s3://priv/x/a.tif", tmp_path, stores=stores, name="one")
    assert (report.fetched, report.failed) == (1, 0)
    [item] = read_catalog(tmp_path / "one").to_pystac().get_items(recursive=True)
    assert (item.id, item.datetime) == ("a", datetime(2020, 1, 1, tzinfo=UTC))
    with pytest.raises(EmptySourceError):
        download("s3://priv/x/b.tif", tmp_path, stores=stores)


@pytest.mark.parametrize("stores", ["minio", Secrets(), True])
def test_stores_that_are_none_are_refused(tmp_path, stores):
    with pytest.raises(UnsupportedError, match="stores is haversack"):
        download("s3://b/", tmp_path, stores=stores)


def test_an_endpoint_of_another_store_is_signed_for(server, tmp_path, make_answer, amazon):
    def file(asked):
        return make_answer(200 if _is_signed_for_s3(asked) else 403, BODY)

    server.answer("/priv", make_answer(200, _page(["x/a.tif"])))
    server.answer("/priv/x/a.tif", file)
    endpoint = server.url("/")
    stores = Stores(signed=True, s3_endpoint=endpoint, requester_pays=True)
    report = download("s3://priv/x/", tmp_path, stores=stores)
    assert (report.fetched, report.failed) == (1, 0)
    (asked,) = [path for path in server.paths() if path.startswith("/priv/x/a.tif")]
    assert _query(asked)["x-amz-request-payer"] == "requester"


def test_a_signature_that_was_refused_is_made_anew_once(server, tmp_path, make_answer, amazon):
    times = iter(range(10))
    server.answer("/b/a.tif", lambda asked: make_answer(200 if next(times) else 403, BODY))
    server.answer("/b/never.tif", make_answer(403))
    stores = {"signed": True, "s3_endpoint": server.url("/")}
    hrefs = {"a": "s3://b/a.tif", "never": "s3://b/never.tif"}
    report = _download_items(tmp_path, hrefs, stores)
    assert [(failure.item_id, failure.tries) for failure in report.failures] == [("never", 2)]
    assert "X-Amz" not in f"{report.failures}"


def test_a_signature_goes_to_its_store_alone(server, second_server, tmp_path, make_answer, amazon):
    target = second_server.file("/real.tif", BODY)
    server.answer("/b/a.tif", make_answer(302, b"", {"Location": target}))
    stores = {"signed": True, "s3_endpoint": server.url("/")}
    options = {"allow_hosts": ["127.0.0.1"]}
    assert _download_items(tmp_path, {"a": "s3://b/a.tif"}, stores, **options).failed == 0
    assert "X-Amz-Signature" in server.asked[0].path
    assert second_server.paths() == ["/real.tif"]


def test_an_address_that_is_signed_already_stays_as_it_is(amazon):
    url = "https://b.s3.eu-central-1.amazonaws.com/a.tif?X-Amz-Signature=theirs"
    assert _sign(url) == (url, {})


@pytest.mark.parametrize("name", ["a//b.tif", "a/", "a/../b.tif", "./a.tif"])
def test_a_name_that_obstore_changes_is_not_taken_for_another(amazon, name):
    url = f"https://b.s3.eu-central-1.amazonaws.com/{name}"
    with pytest.raises(DownloadError, match="cannot sign"):
        _sign(url)


def test_a_bucket_with_names_that_obstore_does_not_take_is_told(
    server, tmp_path, make_answer, amazon
):
    server.answer("/b", make_answer(200, _page(["x/a.tif", "x//b.tif"])))
    stores = Stores(signed=True, s3_endpoint=server.url("/"))
    with pytest.raises(DownloadError, match="cannot be listed.*names that obstore"):
        download("s3://b/x/", tmp_path, stores=stores)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("status", "error"),
    [(403, AccessRefusedError), (404, SourceNotFoundError), (500, NetworkError)],
)
def test_a_private_bucket_that_cannot_be_listed_is_told(
    server, tmp_path, make_answer, amazon, status, error
):
    server.answer("/b", make_answer(status))
    stores = Stores(signed=True, s3_endpoint=server.url("/"))
    with pytest.raises(error, match="'b' at http.*cannot be listed"):
        download("s3://b/x/", tmp_path, stores=stores)


def test_other_secrets_and_other_hosts_are_left_alone(amazon):
    own = Secrets({"https://b.s3.amazonaws.com": {"X-Own": "key"}})
    secrets = _signing(own)
    assert secrets.headers(Origin.of("https://b.s3.amazonaws.com/x")) == {"X-Own": "key"}
    for url in (
        "http://b.s3.eu-central-1.amazonaws.com/a",
        "https://s3.amazonaws.com.evil.example/a",
        "https://xs3.amazonaws.com/a",
        "https://storage.googleapis.com.evil.example/a",
    ):
        assert secrets.of(Origin.of(url)) is None


def test_without_keys_the_variables_are_named_and_asked_for_once(server, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", server.url(""))
    stores = {"signed": True, "s3_endpoint": server.url("/s3")}
    hrefs = {str(n): f"s3://b/{n}.tif" for n in range(20)}
    report = _download_items(tmp_path, hrefs, stores)
    assert len(report.failures) == 20
    assert all("AWS_ACCESS_KEY_ID" in failure.error for failure in report.failures)
    assert len(server.asked) <= 2
    with pytest.raises(AccessRefusedError, match="AWS_ACCESS_KEY_ID"):
        download("s3://b/x/", tmp_path, stores=Stores(**stores))


def test_a_private_container_is_listed_and_fetched(internet, tmp_path, make_answer, monkeypatch):
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "acc")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", AZURE_KEY)

    def listing(asked):
        known = asked.headers.get("authorization", "").startswith("SharedKey acc:")
        return make_answer(200 if known else 403, _blobs(["x/a.tif", "x/b c.tif"]))

    def file(asked):
        return make_answer(200 if _is_signed_for_azure(asked) else 403, BODY)

    internet.answer("acc.blob.core.windows.net/cont", listing)
    internet.answer("acc.blob.core.windows.net/cont/x/a.tif", file)
    internet.file("other.blob.core.windows.net/cont/c.tif", BODY)
    internet.answer("acc.blob.core.windows.net/cont/x/b%20c.tif", file)
    stores = Stores(signed=True)
    report = download("az://acc/cont/x/", tmp_path, stores=stores, raise_errors=False)
    assert report.fetched == 1
    # What obstore signs for such a name is refused by Azure.
    (failed,) = report.failures
    assert "cannot sign for a file of this name" in failed.error
    # The key of one account opens no other, whose files may be public.
    hrefs = {"c": "az://other/cont/c.tif"}
    assert _download_items(tmp_path, hrefs, {"signed": True}).failed == 0
    assert "other.blob.core.windows.net/cont/c.tif" in internet.paths()


def _is_signed_for_azure(asked):
    """Work a shared access signature out as Azure does (service version 2020-12-06 and later)."""
    path = unquote(asked.path.partition("?")[0]).partition("/")[2]
    sent = _query(asked.path)
    fields = [sent["sp"], sent["st"], sent["se"], f"/blob/acc/{path}", "", "", "", sent["sv"]]
    fields += [sent["sr"], "", "", "", "", "", "", ""]
    told = _hmac(base64.b64decode(AZURE_KEY), "\n".join(fields))
    return hmac.compare_digest(base64.b64encode(told).decode(), sent["sig"])


@pytest.fixture
def google(tmp_path, monkeypatch):
    """A service account, and how to check what it signs."""
    key, public = tmp_path / "account.pem", tmp_path / "public.pem"
    openssl = ["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]
    subprocess.run([*openssl, "-out", key], check=True, capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-out", public], check=True)
    account = {
        "type": "service_account",
        "private_key": key.read_text(),
        "private_key_id": "1",
        "client_email": "me@a.example",
        "client_id": "1",
        "token_uri": "https://oauth2.googleapis.com/token",
    }
    (tmp_path / "account.json").write_text(json.dumps(account))
    monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT", str(tmp_path / "account.json"))

    def is_signed(asked):
        path, _, _ = asked.path.partition("/")[2].partition("?")
        sent = _query(asked.path)
        told = bytes.fromhex(sent.pop("X-Goog-Signature", ""))
        query = "&".join(
            f"{quote(k, safe='')}={quote(v, safe='')}" for k, v in sorted(sent.items())
        )
        host = asked.headers["host"]
        request = [asked.method, f"/{path}", query, f"host:{host}", "", "host", "UNSIGNED-PAYLOAD"]
        digest = hashlib.sha256("\n".join(request).encode()).hexdigest()
        scope = sent["X-Goog-Credential"].partition("/")[2]
        text = f"GOOG4-RSA-SHA256\n{sent['X-Goog-Date']}\n{scope}\n{digest}"
        (tmp_path / "signature").write_bytes(told)
        verify = ["openssl", "dgst", "-sha256", "-verify", public]
        verify += ["-signature", tmp_path / "signature"]
        ended = subprocess.run(verify, input=text.encode(), capture_output=True, check=False)
        return ended.returncode == 0

    return is_signed


def test_a_private_bucket_of_google_is_listed_and_fetched(internet, tmp_path, make_answer, google):
    def listing(asked):
        known = asked.headers.get("authorization", "").startswith("Bearer ")
        return make_answer(200 if known else 403, _page(["x/a.tif"]))

    def file(asked):
        return make_answer(200 if google(asked) else 403, BODY)

    internet.answer(
        "oauth2.googleapis.com/token", make_answer(200, b'{"access_token":"t","expires_in":3600}')
    )
    internet.answer("storage.googleapis.com/buck", listing)
    internet.answer("storage.googleapis.com/buck/x/a.tif", file)
    report = download("gs://buck/x/", tmp_path, stores=Stores(signed=True))
    assert (report.fetched, report.failed) == (1, 0)
    assert _assets(tmp_path / "x") == {"a": BODY}
