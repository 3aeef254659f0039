"""Where both sides can, files come by HTTP/2: many over one connection, by the same rules."""

import asyncio
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pycurl
import pytest
from hypercorn.asyncio import serve
from hypercorn.config import Config

from haversack.download import http
from haversack.download.transfer import Request, transfer

pytestmark = pytest.mark.skipif(
    not pycurl.version_info()[4] & pycurl.VERSION_HTTP2, reason="this libcurl has no HTTP/2"
)


class Asked:
    """Where a server is, the version of HTTP that it speaks, and those it was asked in."""

    def __init__(self):
        self.url, self.version, self.versions = "", "", list[str]()


@pytest.fixture(scope="module", params=["h2", "http/1.1"])
def asked(request, certificate):
    """A server that speaks one version, by TLS."""
    asked = Asked()

    async def app(scope, receive, send):
        if scope["type"] != "http":
            return
        asked.versions.append(scope["http_version"])
        body = scope["path"].encode() * 1000
        headers = [(b"content-length", b"%d" % len(body)), (b"etag", b'"1"')]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    listener = socket.create_server(("127.0.0.1", 0))
    asked.url = f"https://localhost:{listener.getsockname()[1]}"
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.certfile, config.keyfile = map(str, certificate)
    config.alpn_protocols, config.loglevel = [request.param], "ERROR"
    loop, end = asyncio.new_event_loop(), asyncio.Event()
    run = serve(app, config, shutdown_trigger=end.wait)
    config.graceful_timeout = config.shutdown_timeout = 0.1
    thread = threading.Thread(target=loop.run_until_complete, args=(run,))
    thread.start()
    asked.version = request.param.removeprefix("http/").removeprefix("h")
    yield asked
    loop.call_soon_threadsafe(end.set)
    thread.join()
    loop.close()


def _fetched(asked, certificate, tmp_path, **options):
    names = [str(n) for n in range(40)]
    wanted = [Request(f"{asked.url}/{name}", tmp_path / name) for name in names]
    outcomes = list(transfer(wanted, source_origin=asked.url, ca=certificate[0], **options))
    assert [outcome.error for outcome in outcomes] == [None] * 40
    for name in names:
        assert (tmp_path / name).read_bytes() == f"/{name}".encode() * 1000


def test_files_come_by_the_version_that_the_server_has(asked, certificate, tmp_path):
    asked.versions.clear()
    _fetched(asked, certificate, tmp_path)
    assert asked.versions == [asked.version] * 40


def test_a_document_comes_by_the_version_that_the_server_has(asked, certificate):
    asked.versions.clear()
    with ThreadPoolExecutor(1) as pool:  # its connection ends with it; the server waits for that
        answer = pool.submit(http.request, "GET", f"{asked.url}/a", ca=certificate[0]).result()
    assert (answer.status, answer.body[:4]) == (200, b"/a/a")
    assert asked.versions == [asked.version]


def test_the_rate_holds_over_one_connection_too(asked, certificate, tmp_path):
    began = time.monotonic()
    _fetched(asked, certificate, tmp_path, max_bytes_per_second=200_000)
    size = sum(len(f"/{n}") * 1000 for n in range(40))
    assert time.monotonic() - began >= size / 200_000 - 0.25 - 0.1
