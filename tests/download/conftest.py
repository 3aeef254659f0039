"""A real server on loopback that does what it is told, wrong things above all."""

import hashlib
import re
import socket
import ssl
import struct
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from haversack.download.transfer import Request, transfer


@dataclass
class Asked:
    method: str
    path: str
    headers: dict[str, str]
    times: int


@dataclass
class Answer:
    """``cut`` bytes of the body are sent, then the connection ends, is reset or stalls.

    From byte ``drips`` on, of head and body, they come one at a time.
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    end: str = "close"
    raw: bytes | None = None
    drips: int | None = None


class Server:
    """Answers each path by a function of what is asked; remembers everything asked."""

    scheme = "http"

    def __init__(self, address="127.0.0.1"):
        self.asked: list[Asked] = []
        self.closing = threading.Event()
        self._routes: dict[str, Callable[[Asked], Answer]] = {}
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._socket = socket.create_server((address, 0), family=family)
        self._host = f"[{address}]" if ":" in address else address
        self._connections: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()
        self.port = self._socket.getsockname()[1]

    def url(self, path, host=None):
        return f"{self.scheme}://{host or self._host}:{self.port}{path}"

    def answer(self, path, answer):
        self._routes[path] = answer if callable(answer) else lambda asked: answer
        return self.url(path)

    def file(self, path, body, etag='"1"', **headers):
        return self.answer(path, lambda asked: ranged(asked, body, etag, headers))

    def paths(self):
        return [asked.path for asked in self.asked]

    def _accept(self):
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self._connections.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection):
        with connection, suppress(OSError):
            reader = connection.makefile("rb")
            with reader:
                while (asked := self._read(reader)) and self._send(connection, asked):
                    pass

    def _read(self, reader):
        line = reader.readline().decode()
        if not line.strip():
            return None
        method, path, _ = line.split()
        headers = {}
        while (line := reader.readline().decode().strip()) != "":
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        times = sum(before.path == path for before in self.asked) + 1
        asked = Asked(method, path, headers, times)
        self.asked.append(asked)
        reader.read(int(headers.get("content-length", 0)))
        return asked

    def _send(self, connection, asked):
        route = self._routes.get(asked.path.partition("?")[0])
        answer = route(asked) if route else Answer(404, b"no such thing")
        if answer.raw is not None:
            connection.sendall(answer.raw)
            return False
        headers = {"Content-Length": str(len(answer.body))} | answer.headers
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if value != "")
        body = answer.body if asked.method != "HEAD" else b""
        data = f"HTTP/1.1 {answer.status} X\r\n{head}\r\n".encode() + body[: answer.cut]
        connection.sendall(data[: answer.drips])
        if answer.drips is not None:
            self._drip(connection, data[answer.drips :])
        if answer.cut is None:
            return True
        if answer.end == "reset":
            linger = struct.pack("ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        elif answer.end == "stall":
            self.closing.wait()
        return False

    def _drip(self, connection, data):
        for byte in data:
            if self.closing.wait(0.05):
                return
            connection.sendall(bytes([byte]))

    def close(self):
        self.closing.set()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        for connection in self._connections:
            connection.close()


class Secure(Server):
    """Answers by TLS."""

    scheme = "https"

    def __init__(self, certificate, key):
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate, key)
        super().__init__()
        self._host = "localhost"

    def _serve(self, connection):
        with suppress(OSError):
            secure = self._context.wrap_socket(connection, server_side=True)
            self._connections.append(secure)
            super()._serve(secure)


class Internet(Secure):
    """A proxy that answers by TLS itself, in the name of whatever host it is asked for.

    Routes are of ``HOST/PATH``.
    """

    scheme = "http"

    def _serve(self, connection):
        with connection, suppress(OSError):
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                if not (more := connection.recv(1)):
                    return
                head += more
            assert head.startswith(b"CONNECT ")
            connection.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
            super()._serve(connection)

    def _read(self, reader):
        asked = super()._read(reader)
        if asked is not None:
            asked.path = asked.headers["host"] + asked.path
        return asked


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """A certificate of hosts on the internet that nobody else trusts, and its key."""
    folder = tmp_path_factory.mktemp("certificate")
    hosts = ["storage.googleapis.com", "oauth2.googleapis.com", "*.blob.core.windows.net"]
    hosts += [
        "localhost",
        "s3.amazonaws.com",
        "*.s3.amazonaws.com",
        "*.s3.eu-central-1.amazonaws.com",
    ]
    names = ",".join(f"DNS:{host}" for host in hosts)
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-keyout", folder / "key.pem", "-out", folder / "ca.pem", "-subj", "/CN=internet"),
            *("-addext", f"subjectAltName={names}"),
            *("-addext", "basicConstraints=critical,CA:FALSE"),
        ],
        check=True,
        capture_output=True,
    )
    return folder / "ca.pem", folder / "key.pem"


@pytest.fixture
def internet(certificate, monkeypatch):
    internet = Internet(*certificate)
    monkeypatch.setenv("https_proxy", internet.url(""))
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    yield internet
    internet.close()


def ranged(asked, body, etag='"1"', headers=None):
    """Serve a file as a good server does, ranges and If-Range included."""
    headers = {"ETag": etag, "Accept-Ranges": "bytes", **(headers or {})}
    wanted = re.fullmatch(r"bytes=(\d+)-", asked.headers.get("range", ""))
    if not wanted or asked.headers.get("if-range", etag) != etag:
        return Answer(200, body, headers)
    start = int(wanted.group(1))
    if start >= len(body):
        return Answer(416, b"", headers | {"Content-Range": f"bytes */{len(body)}"})
    extent = f"bytes {start}-{len(body) - 1}/{len(body)}"
    return Answer(206, body[start:], headers | {"Content-Range": extent})


@pytest.fixture
def server():
    server = Server()
    yield server
    server.close()


@pytest.fixture
def second_server():
    server = Server()
    yield server
    server.close()


@pytest.fixture
def make_server(request, monkeypatch):
    """Start servers of a kind: http, https or ipv6."""
    made: list[Server] = []

    def make(kind):
        if kind == "https":
            certificate, key = request.getfixturevalue("certificate")
            monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
            made.append(Secure(certificate, key))
        else:
            made.append(Server("::1" if kind == "ipv6" else "127.0.0.1"))
        return made[-1]

    yield make
    for server in made:
        server.close()


@pytest.fixture
def make_answer():
    return Answer


@pytest.fixture
def serve_ranges():
    return ranged


@pytest.fixture(autouse=True)
def _plain_network(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(autouse=True)
def _no_long_pauses(monkeypatch):
    from haversack.download import hosts, http

    def short(tries, failure):
        return failure.wait if failure.wait is not None else 0.01

    monkeypatch.setattr(hosts, "pause", short)
    monkeypatch.setattr(http, "pause", short)


@pytest.fixture
def get(server, tmp_path):
    """Fetch paths of the server; give the outcomes by path."""

    def run(*paths, size=None, checksum=None, **options):
        wanted = [
            Request(server.url(path), tmp_path / "out" / path.strip("/"), size, checksum)
            for path in paths
        ]
        found = transfer(wanted, source_origin=server.url("/"), **options)
        return {"/" + str(Path(o.request.path).relative_to(tmp_path / "out")): o for o in found}

    return run


@pytest.fixture
def here(tmp_path):
    """What stands in the output: name -> content."""

    def look():
        root = tmp_path / "out"
        return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}

    return look


@pytest.fixture
def megabyte():
    """About as much: several buffers."""
    return bytes(range(256)) * 4000


@pytest.fixture
def multihash():
    """Give the SHA-256 of a body as STAC's ``file:checksum`` has it."""
    return lambda body: "1220" + hashlib.sha256(body).hexdigest()
