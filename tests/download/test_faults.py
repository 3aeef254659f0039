"""Any mixture of faults ends byte-exact or with a named error, and a rerun mends it."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from haversack.download.secrets import Fixed, Secrets
from haversack.download.transfer import Request, transfer

_FORBIDDEN = [
    "http://169.254.169.254/latest/meta-data",
    "http://[fe80::1]/",
    "http://[::ffff:169.254.169.254]/",
    "http://0.0.0.0/",
    "file:///etc/passwd",
    "ftp://127.0.0.1/a.tif",
]
_KEYS = [
    Fixed({"Authorization": "Bearer sesame"}),
    Fixed({"X-Api-Key": "sesame"}),
    Fixed({"Cookie": "key=sesame"}),
    Fixed(query={"key": "sesame"}),
]
_RAW = {
    "chunked abort": lambda body, _: (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"%x\r\n%s\r\n" % (len(body) or 1, body or b"x")
    ),
    "longer": lambda body, etag: (
        b"HTTP/1.1 200 OK\r\nETag: %s\r\nContent-Length: %d\r\n\r\n%smore than was said"
        % (etag, len(body), body)
    ),
    "garbage": lambda body, _: bytes(range(100)),
    "nothing": lambda body, _: b"",
}


class Faulty:
    """Answers with a fault, chosen by a seed, until it has had enough of them."""

    def __init__(self, seed, sizes, make_answer, serve_ranges, others):
        self.random, self.answer, self.ranged = random.Random(seed), make_answer, serve_ranges
        self.left, self.waits = 60, 2  # each stall, or answer byte by byte, takes a second
        self.others = others
        self.versions = {
            f"/{n}.tif": [self.random.randbytes(size) for _ in range(2)]
            for n, size in enumerate(sizes)
        }
        self.now = dict.fromkeys(self.versions, 0)

    def __call__(self, asked):
        path = asked.path.partition("?")[0]
        body, etag = self.versions[path][self.now[path]], f'"{self.now[path]}"'
        good = self.ranged(asked, body, etag)
        faults = ["cut", "reset", "busy", "ignores range", "ignores if-range", "416", "changes"]
        faults += ["wrong start", "other etag", "packed", "page", "wrong md5", "no length"]
        faults += ["redirect", "loop", "elsewhere", "forbidden", "stall", "drips", *_RAW]
        fault = self.random.choice([*faults, "none", "none", "none"])
        if fault == "none" or self.left <= 0:
            return good
        self.left -= 1
        if fault in ("stall", "drips"):
            return self._slow(fault, good)
        if fault in ("redirect", "loop", "elsewhere", "forbidden"):
            return self._redirect(fault, path)
        return self._spoil(fault, asked, good, body, etag)

    def _slow(self, fault, good):
        if self.waits:
            self.waits -= 1
            if fault == "drips":
                good.drips = self.random.randint(0, 200 + len(good.body))
            else:
                good.cut, good.end = self.random.randint(0, len(good.body)), "stall"
        return good

    def _redirect(self, fault, path):
        targets = {
            "redirect": path,
            "loop": f"{path}?again",
            "elsewhere": self.random.choice(self.others).url(path),
            "forbidden": self.random.choice(_FORBIDDEN),
        }
        return self.answer(302, b"", {"Location": targets[fault]})

    def _spoil(self, fault, asked, good, body, etag):
        if fault in ("cut", "reset"):
            good.cut = self.random.randint(0, len(good.body))
            good.end = "reset" if fault == "reset" else "close"
        elif fault == "busy":
            return self.answer(self.random.choice([408, 429, 500, 503]), b"", {"Retry-After": "0"})
        elif fault == "ignores range":
            return self.answer(200, body, {"ETag": etag})
        elif fault == "ignores if-range":
            asked.headers.pop("if-range", None)
            return self.ranged(asked, body, etag)
        elif fault == "416":
            return self.answer(416, b"")
        elif fault == "changes":
            self.now[asked.path.partition("?")[0]] = 1
            return self(asked)
        elif fault == "wrong start" and good.status == 206:
            good.headers["Content-Range"] = f"bytes 1-{len(body) - 1}/{len(body)}"
        else:
            return self._lie(fault, good, body, etag)
        return good

    def _lie(self, fault, good, body, etag):
        if fault == "other etag" and good.status == 206:
            good.headers["ETag"] = '"of another version"'
        elif fault == "packed":
            good.headers["Content-Encoding"] = "gzip"
        elif fault == "page":
            return self.answer(200, b"<html>busy</html>", {"Content-Type": "text/html"})
        elif fault == "wrong md5" and good.status == 200:
            good.headers["Content-MD5"] = "AAAAAAAAAAAAAAAAAAAAAA=="
        elif fault == "no length":
            head = f"HTTP/1.1 200 OK\r\nETag: {etag}\r\n\r\n".encode()
            return self.answer(raw=head + body)
        elif fault in _RAW:
            return self.answer(raw=_RAW[fault](body, etag.encode()))
        return good


@pytest.fixture
def run_through_faults(tmp_path, make_server, make_answer, serve_ranges):
    """Fetch files of a faulty server twice, the second time without faults; give its servers."""

    def run(seed, sizes, kind, key, concurrency):
        first, second, plain = (make_server(one) for one in (kind, kind, "http"))
        faulty = Faulty(seed, sizes, make_answer, serve_ranges, [second, plain])
        for path in faulty.versions:
            for server in (first, second, plain):
                server.answer(path, faulty)
        wanted = [Request(first.url(path), tmp_path / path[1:]) for path in faulty.versions]
        options = {
            "source_origin": first.url("/"),
            "secrets": Secrets({first.url("/"): key}),
            "concurrency": concurrency,
        }
        for outcome in _ended(transfer(wanted, timeout=0.5, **options), len(sizes)):
            place = Path(outcome.request.path)
            if outcome.error is None or place.exists():
                assert place.read_bytes() in faulty.versions[f"/{place.name}"], outcome
        faulty.left = 0
        for outcome in _ended(transfer(wanted, timeout=30.0, **options), len(sizes)):
            place = Path(outcome.request.path)
            assert outcome.error is None, outcome
            assert place.read_bytes() in faulty.versions[f"/{place.name}"], outcome
        assert {*os.listdir(tmp_path)} == {path[1:] for path in faulty.versions}
        return first, second, plain

    return run


def _ended(outcomes, count):
    outcomes = list(outcomes)
    assert len(outcomes) == count
    return outcomes


def _tells_key(asked):
    return "sesame" in f"{asked.path} {asked.headers}"


def _has_ipv6():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize("kind", ["http", "https", "ipv6"])
@pytest.mark.parametrize(
    "seed", [*range(4), *(pytest.param(n, marks=pytest.mark.slow) for n in range(4, 100))]
)
def test_any_mixture_of_faults_ends_exact_or_named(run_through_faults, kind, seed):
    if kind == "ipv6" and not _has_ipv6():
        pytest.skip("this machine has no IPv6")
    sizes = [0, 1, 20_000, 300_000, 700_000] * 2 + [0, 1]
    first, second, plain = run_through_faults(seed, sizes, kind, _KEYS[seed % len(_KEYS)], 4)
    assert all(map(_tells_key, first.asked))
    assert not any(map(_tells_key, second.asked + plain.asked))
    assert kind != "https" or not plain.asked


@pytest.mark.slow
def test_ten_thousand_tiny_files_come_through_faults(run_through_faults):
    first, second, plain = run_through_faults(
        0, [n % 200 for n in range(10_000)], "http", _KEYS[0], 16
    )
    assert all(map(_tells_key, first.asked))
    assert not any(map(_tells_key, second.asked + plain.asked))


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_killed_anywhere_no_final_name_ever_holds_half_a_file(server, tmp_path):
    files = {
        f"/{n}": random.Random(n).randbytes(3_000_000 if n % 40 == 0 else 9_000) for n in range(400)
    }
    for path, body in files.items():
        server.file(path, body)
    program = f"""
import pathlib
from haversack.download.ledger import Ledger
from haversack.download.transfer import Request, transfer
out = pathlib.Path({str(tmp_path)!r})
names = [str(n) for n in range(400) if not (out / "files" / str(n)).exists()]
wanted = [Request({server.url("/")!r} + name, out / "files" / name) for name in names]
print("ready", flush=True)
with Ledger(out / "ledger.db") as ledger:
    for outcome in transfer(wanted, source_origin={server.url("/")!r}, ledger=ledger):
        assert outcome.error is None, outcome
"""
    moments = random.Random(0)
    for kills in range(200):
        child = subprocess.Popen(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(moments.uniform(0, 0.3))
        child.send_signal(signal.SIGKILL)
        child.communicate()
        if kills % 7 == 6:
            for path in (tmp_path / "files").glob("*"):  # all begins anew
                path.unlink()
        for path in (tmp_path / "files").glob("[0-9]*"):
            assert path.read_bytes() == files[f"/{path.name}"], (kills, path)
    subprocess.run([sys.executable, "-c", program], check=True)
    assert {f"/{p.name}" for p in (tmp_path / "files").iterdir()} == set(files)
