"""Small requests: redirects are ours, secrets stay home, retries are by class of failure."""

import email.utils
import gzip
import socket
import ssl
import subprocess
import threading
import time

import pytest

from haversack.download import line
from haversack.download.http import request
from haversack.download.origin import Origin, canonical, shown
from haversack.download.secrets import Secrets
from haversack.errors import DownloadError, UsageError


def test_the_whole_answer_comes_back(server, make_answer):
    url = server.answer("/a", make_answer(200, b'{"a": 1}', {"X-Thing": "yes"}))
    answer = request("GET", url)
    assert (answer.status, answer.json(), answer.url) == (200, {"a": 1}, url)
    assert answer.headers["x-thing"] == "yes"


def test_a_body_is_sent(server, make_answer):
    url = server.answer("/a", make_answer(200, b"{}"))
    request("POST", url, body=b"12345", headers={"Content-Type": "application/json"})
    (asked,) = server.asked
    assert (asked.method, asked.headers["content-length"]) == ("POST", "5")
    assert asked.headers["content-type"] == "application/json"


def test_head_waits_for_no_body(server, make_answer):
    url = server.answer("/a", make_answer(200, b"x" * 100))
    answer = request("HEAD", url)
    assert (answer.headers["content-length"], answer.body) == ("100", b"")


def test_compressed_answers_are_unpacked(server, make_answer):
    body = gzip.compress(b"[]" * 1000)
    url = server.answer("/a", make_answer(200, body, {"Content-Encoding": "gzip"}))
    assert request("GET", url).body == b"[]" * 1000


def test_connections_are_kept(server, make_answer):
    url = server.answer("/a", make_answer(200, b"x"))
    for _ in range(5):
        request("GET", url)
    assert len(server._connections) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed(server, make_answer, status):
    server.answer("/b", make_answer(200, b"here"))
    url = server.answer("/a", make_answer(status, b"", {"Location": "b"}))
    answer = request("GET", url)
    assert (answer.body, answer.url) == (b"here", server.url("/b"))


def test_redirect_loops_end(server, make_answer):
    url = server.answer("/a", make_answer(302, b"", {"Location": "/a"}))
    with pytest.raises(DownloadError, match="more than 5 redirects"):
        request("GET", url)
    assert len(server.asked) == 6


def test_secrets_stay_at_their_origin(server, second_server, make_answer):
    second_server.answer("/b", make_answer(200, b"there"))
    server.answer("/a", make_answer(302, b"", {"Location": second_server.url("/b")}))
    url = server.url("/a")
    answer = request(
        "GET", url, secrets=Secrets.bearer(url, "my-key"), headers={"X-Own": "1", "Accept": "x/y"}
    )
    assert answer.body == b"there"
    assert server.asked[0].headers["authorization"] == "Bearer my-key"
    sent = second_server.asked[0].headers
    assert "my-key" not in str(sent)
    assert "x-own" not in sent
    assert sent["accept"] == "x/y"


def test_a_key_in_the_query_is_seen_by_its_origin_only(server, second_server, make_answer):
    second_server.answer("/b", make_answer(200, b"there"))
    server.answer("/a", make_answer(302, b"", {"Location": second_server.url("/b")}))
    answer = request("GET", server.url("/a"), secrets=Secrets.in_query(server.url("/"), "my-key"))
    assert server.paths() == ["/a?key=my-key"]
    assert second_server.paths() == ["/b"]
    assert "my-key" not in answer.url


@pytest.mark.parametrize("name", ["Authorization", "cookie", "X-Api-Key"])
def test_a_secret_among_the_plain_headers_is_refused(server, name):
    with pytest.raises(UsageError, match="give it as secrets="):
        request("GET", server.url("/"), headers={name: "k"})


def test_secrets_are_never_shown(server):
    secrets = Secrets.bearer("http://127.0.0.1:1/", "my-key")
    with pytest.raises(DownloadError) as caught:
        request("GET", "http://127.0.0.1:1/x?sig=abc", secrets=secrets, retries=0)
    assert "my-key" not in f"{secrets!r} {secrets} {caught.value!r} {vars(secrets)}"
    assert "abc" not in str(caught.value)


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_final_answer_is_asked_for_once(server, make_answer, status):
    assert request("GET", server.answer("/a", make_answer(status, b"no"))).status == status
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_busy_server_is_asked_again(server, make_answer, status):
    url = server.answer(
        "/a", lambda asked: make_answer(status if asked.times < 3 else 200, b"body")
    )
    assert request("GET", url).status == 200
    assert len(server.asked) == 3


def _soon():
    # A date has no fractions: in two seconds is after one at least.
    return email.utils.formatdate(time.time() + 2, usegmt=True)


@pytest.mark.parametrize("after", [lambda: "1", _soon], ids=["seconds", "date"])
@pytest.mark.parametrize("how", ["request", "transfer"])
def test_retry_after_is_waited_for_in_both_forms(server, make_answer, get, after, how):
    asked_at = []

    def route(asked):
        asked_at.append(time.monotonic())
        late = {"Retry-After": after()} if asked.times == 1 else {}
        return make_answer(503 if late else 200, b"body", late)

    url = server.answer("/a", route)
    if how == "request":
        assert request("GET", url).status == 200
    else:
        assert get("/a")["/a"].error is None
    first, second = asked_at
    assert second - first >= 0.95


@pytest.mark.parametrize("after", ["0", "Wed, 21 Oct 2015 07:28:00 GMT", "soon"])
def test_a_wait_that_is_over_or_no_wait_is_none(server, make_answer, after):
    def route(asked):
        return make_answer(503, b"", {"Retry-After": after}) if asked.times == 1 else make_answer()

    assert request("GET", server.answer("/a", route)).status == 200


def test_a_wait_that_is_too_long_is_not_waited(server, make_answer):
    url = server.answer("/a", make_answer(503, b"", {"Retry-After": "86400"}))
    assert request("GET", url).status == 503
    assert len(server.asked) == 1


@pytest.mark.parametrize("end", ["close", "reset"])
def test_half_an_answer_is_never_taken(server, make_answer, end):
    def route(asked):
        return make_answer(200, b"x" * 1000, cut=500 if asked.times == 1 else None, end=end)

    assert request("GET", server.answer("/a", route)).body == b"x" * 1000
    url = server.answer("/b", make_answer(200, b"x" * 1000, cut=500, end=end))
    with pytest.raises(DownloadError, match="broke off"):
        request("GET", url)


@pytest.mark.parametrize("end", ["close", "reset"])
@pytest.mark.parametrize("cut", [0, 500])
def test_an_error_whose_body_breaks_off_is_told_as_the_error(server, make_answer, end, cut):
    url = server.answer("/a", make_answer(403, b"x" * 1000, cut=cut, end=end))
    assert request("GET", url).status == 403
    assert len(server.asked) == 1


def test_only_a_store_is_asked_for_paths_as_they_are(server, make_answer, monkeypatch):
    for path in ("/a/../b", "/b"):
        server.answer(path, make_answer(200, path.encode()))
    assert request("GET", server.url("/a/../b")).body == b"/b"
    monkeypatch.setattr(line, "_STORES", ("127.0.0.1",))
    assert request("GET", server.url("/a/../b")).body == b"/a/../b"


def test_a_stalled_server_is_given_up(server, make_answer):
    url = server.answer("/a", make_answer(200, b"x" * 1000, cut=10, end="stall"))
    with pytest.raises(DownloadError, match="broke off"):
        request("GET", url, timeout=1, retries=0)


@pytest.mark.parametrize("drips", [0, 60])
def test_a_server_that_answers_byte_by_byte_is_given_up(server, make_answer, drips):
    url = server.answer("/a", make_answer(200, b"x" * 1000, drips=drips))
    with pytest.raises(DownloadError, match="for 1 s"):
        request("GET", url, timeout=1, retries=0)


def test_more_than_max_bytes_is_refused(server, make_answer):
    url = server.answer("/a", make_answer(200, b"x" * 100_000))
    with pytest.raises(DownloadError, match="more than 1000 bytes"):
        request("GET", url, max_bytes=1000)
    bomb = gzip.compress(b"0" * 10_000_000)
    url = server.answer("/b", make_answer(200, bomb, {"Content-Encoding": "gzip"}))
    with pytest.raises(DownloadError, match="more than 1000000 bytes"):
        request("GET", url, max_bytes=1_000_000)


def test_an_unreachable_server_is_named(server):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(DownloadError, match=f"cannot reach http://127.0.0.1:{port}"):
        request("GET", f"http://127.0.0.1:{port}/x")


def test_a_web_page_is_no_json(server, make_answer):
    url = server.answer("/a", make_answer(200, b"<html>", {"Content-Type": "text/html"}))
    with pytest.raises(DownloadError, match="text/html where JSON"):
        request("GET", url).json()


@pytest.mark.parametrize(
    "url",
    ["ftp://a.example/x", "file:///etc/passwd", "http://user:word@a.example/", "http:///x", "x"],
)
def test_other_urls_are_refused(url):
    with pytest.raises(UsageError) as caught:
        request("GET", url)
    assert "word@" not in str(caught.value)


def test_a_redirect_to_another_scheme_is_refused(server, make_answer):
    url = server.answer("/a", make_answer(302, b"", {"Location": "file:///etc/passwd"}))
    with pytest.raises(DownloadError, match="only http and https"):
        request("GET", url)


def test_loopback_never_goes_through_a_proxy(server, make_answer, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("all_proxy", "http://127.0.0.1:1")
    url = server.answer("/a", make_answer(200, b"here"))
    assert request("GET", url).body == b"here"
    assert request("GET", url.replace("127.0.0.1", "localhost")).body == b"here"


def test_other_hosts_go_through_the_proxy(server, make_answer, monkeypatch):
    monkeypatch.setenv("http_proxy", server.url(""))
    server.answer("http://data.example/a", make_answer(200, b"by proxy"))
    assert request("GET", "http://data.example/a").body == b"by proxy"


def test_blob_hosts_are_told_the_version_of_their_dialect(server, make_answer, monkeypatch):
    monkeypatch.setenv("http_proxy", server.url(""))
    request("GET", "http://some.blob.core.windows.net/a")
    request("GET", "http://data.example/a")
    versions = [asked.headers.get("x-ms-version") for asked in server.asked]
    assert versions == ["2021-06-08", None]


@pytest.mark.parametrize("entry", ["data.example", ".example", "*", "data.example:80"])
def test_no_proxy_is_obeyed(server, monkeypatch, entry):
    from haversack.download.environment import proxy_for

    monkeypatch.setenv("http_proxy", server.url(""))
    origin = Origin.of("http://data.example/a")
    assert proxy_for(origin) == server.url("")
    monkeypatch.setenv("no_proxy", f"other.example, {entry}")
    assert proxy_for(origin) is None


def test_the_variable_in_lower_case_counts_first_and_a_header_of_cgi_never(monkeypatch):
    from haversack.download.environment import proxy_for

    origins = [Origin.of("http://data.example/"), Origin.of("https://data.example/")]
    monkeypatch.setenv("HTTP_PROXY", "http://upper.example")
    monkeypatch.setenv("ALL_PROXY", "http://all.example")
    assert [*map(proxy_for, origins)] == ["http://upper.example", "http://all.example"]
    monkeypatch.setenv("http_proxy", "http://lower.example")
    assert proxy_for(origins[0]) == "http://lower.example"
    monkeypatch.delenv("http_proxy")
    monkeypatch.setenv("REQUEST_METHOD", "GET")
    assert proxy_for(origins[0]) == "http://all.example"
    monkeypatch.setenv("all_proxy", "")
    assert [*map(proxy_for, origins)] == [None, None]


def test_no_proxy_knows_networks(monkeypatch):
    from haversack.download.environment import proxy_for

    monkeypatch.setenv("http_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("no_proxy", "10.0.0.0/8")
    assert proxy_for(Origin.of("http://10.1.2.3/")) is None
    assert proxy_for(Origin.of("http://11.1.2.3/")) is not None


def test_a_public_source_does_not_lead_to_loopback(server, make_answer):
    server.answer("/a", make_answer(200, b"private"))
    for host in ("127.0.0.1", "localhost", "127.1", "0x7f000001", "[::ffff:127.0.0.1]"):
        with pytest.raises(DownloadError, match="--allow-host"):
            request("GET", server.url("/a", host), source_origin="https://hub.example/")
    assert server.asked == []
    url = server.url("/a")
    allowed = request("GET", url, source_origin="https://hub.example/", allow_hosts=["127.0.0.1"])
    assert allowed.body == b"private"


def test_a_name_that_resolves_to_loopback_is_refused(server, make_answer, monkeypatch):
    from haversack.download import addresses, line

    monkeypatch.setattr(addresses, "is_loopback", lambda host: False)
    monkeypatch.setattr(line.AddressRule, "allows_unresolved", lambda *_: True)
    server.answer("/a", make_answer(200, b"private"))
    request("GET", server.url("/a", "localhost"), allow_hosts=["localhost"])
    asked = len(server.asked)
    # The first connection is kept: the rule is asked for each request all the same.
    for host in ("localhost", "127.0.0.1"):
        with pytest.raises(DownloadError, match="--allow-host"):
            request("GET", server.url("/a", host), source_origin="https://hub.example/")
    assert len(server.asked) == asked


def test_urls_read_alike_everywhere():
    assert canonical("http://a.example/x y?q=é#f") == "http://a.example/x%20y?q=%C3%A9"
    assert canonical("https://bücher.example") == "https://xn--bcher-kva.example/"
    assert Origin.of("http://a.example:80/") == Origin.of("http://A.example/")
    for bad in ("http://good.example\\@evil.example/", "http://a b.example/"):
        with pytest.raises(UsageError):
            canonical(bad)
    assert shown("https://user:word@a.example/x?sig=1#y") == "https://a.example/x?…"


@pytest.fixture
def tls(tmp_path):
    """A server with a certificate that nobody knows; gives its URL and the certificate."""
    certificate, key = tmp_path / "ca.pem", tmp_path / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-keyout", key, "-out", certificate, "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(connection, server_side=True) as secure:
                    path = [*secure.recv(10_000).split(), b"", b""][1]
                    where = b"Location: http://127.0.0.1:1/\r\n" if path == b"/down" else b""
                    status = b"302 X" if where else b"200 OK"
                    secure.sendall(
                        b"HTTP/1.1 %s\r\n%sContent-Length: 2\r\n\r\n{}" % (status, where)
                    )
            except OSError:
                connection.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"https://localhost:{listener.getsockname()[1]}", certificate
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


def test_the_certificate_authority_comes_from_the_environment(tls, monkeypatch):
    url, certificate = tls
    with pytest.raises(DownloadError, match="SSL_CERT_FILE"):
        request("GET", f"{url}/a")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert request("GET", f"{url}/a").json() == {}
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate) + "x")
    with pytest.raises(UsageError, match="SSL_CERT_FILE names"):
        request("GET", f"{url}/a")
    assert request("GET", f"{url}/a", ca=certificate).json() == {}


def test_redirects_from_https_to_http_are_refused(tls):
    url, certificate = tls
    with pytest.raises(DownloadError, match="from https to http"):
        request("GET", f"{url}/down", ca=certificate)
