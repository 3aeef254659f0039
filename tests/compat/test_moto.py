"""Buckets of moto, which speaks as Amazon does: listed and fetched, with keys and without."""

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from haversack.catalog import read_catalog
from haversack.download import download
from haversack.download.http import request
from haversack.download.stores import Stores
from haversack.errors import DownloadError

pytestmark = pytest.mark.compat

MOTO = Path(sys.prefix) / "compat-moto" / "bin" / "moto_server"
# Those that XML, URLs and signatures treat each in their own way.
NAMES = ["a b.tif", "ü/é.tif", "p+q.tif", "50%.tif", "q?x=1.tif", "h#1.tif", "am&p.tif", "~t.tif"]
NAMES += ["(1)*'!.tif", "plain.tif", "a=b,c;d:e@f$g.tif"]


@pytest.fixture
def moto(monkeypatch, tmp_path):
    """A server with a private bucket, the key of which the environment holds."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = (tmp_path / "moto.log").open("w")
    server = subprocess.Popen(
        [MOTO, "-H", "127.0.0.1", "-p", str(port)], stdout=log, stderr=subprocess.STDOUT
    )
    url = f"http://127.0.0.1:{port}"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "an-id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sesame")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    try:
        _wait_for(url)
        assert request("PUT", f"{url}/priv", body=b"").status == 200
        yield url
    finally:
        server.terminate()
        server.wait()
        log.close()


def _wait_for(url):
    for _ in range(300):
        try:
            request("GET", url, retries=0)
        except DownloadError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("moto does not start")


def _put(url, objects):
    import obstore
    from obstore.store import S3Store

    store = S3Store("priv", aws_endpoint_url_s3=url, client_options={"allow_http": True})
    for name, body in objects.items():
        obstore.put(store, name, body)


def test_a_private_bucket_comes_whole(moto, tmp_path):
    bodies = {f"odd/{name}": f"body of {name}".encode() * 1000 for name in NAMES}
    bodies["odd/large.bin"] = bytes(range(256)) * 20_000
    _put(moto, bodies | {"other/x.tif": b"x"})
    stores = Stores(signed=True, s3_endpoint=moto)
    report = download("s3://priv/odd/", tmp_path / "out", stores=stores)
    assert (report.fetched, report.failed) == (len(bodies), 0)
    here = sorted(p.read_bytes() for p in (tmp_path / "out" / "odd").rglob("data.*"))
    assert here == sorted(bodies.values())
    again = download("s3://priv/odd/", tmp_path / "out", stores=stores, if_exists="sync")
    assert (again.fetched, again.failed) == (0, 0)


def test_without_keys_a_private_bucket_is_closed(moto, tmp_path):
    _put(moto, {"x/a.tif": b"pixels"})
    stores = Stores(s3_endpoint=moto)
    report = download("s3://priv/x/", tmp_path, stores=stores, raise_errors=False)
    assert "403" in report.failures[0].error


def test_a_bucket_of_more_than_a_page_is_listed_whole(moto, tmp_path):
    _put(moto, {f"x/{n:04}.tif": b"%d" % n for n in range(1100)})
    stores = Stores(signed=True, s3_endpoint=moto)
    report = download("s3://priv/x/", tmp_path, stores=stores)
    assert (report.fetched, report.failed) == (1100, 0)
    assert len(read_catalog(tmp_path / "x").assets) == 1100
