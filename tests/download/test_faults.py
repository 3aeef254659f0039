"""Any mixture of faults ends byte-exact or with a named error, and a rerun mends it."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from haversack.download.secrets import Secrets
from haversack.download.transfer import Request, transfer

FILES = 12
_PRIVATE = ["169.254.169.254", "[fe80::1]", "[::ffff:169.254.169.254]", "0.0.0.0"]


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

    def __init__(self, seed, make_answer, serve_ranges, second):
        self.random, self.answer, self.ranged = random.Random(seed), make_answer, serve_ranges
        self.left, self.stalls = 60, 1  # each stall takes a second
        self.second = second
        size = [0, 1, 20_000, 300_000, 700_000]
        self.versions = {
            f"/{n}.tif": [self.random.randbytes(size[n % 5]) for _ in range(2)]
            for n in range(FILES)
        }
        self.now = dict.fromkeys(self.versions, 0)

    def __call__(self, asked):
        asked.path = asked.path.partition("?")[0]
        body, etag = self.versions[asked.path][self.now[asked.path]], f'"{self.now[asked.path]}"'
        good = self.ranged(asked, body, etag)
        faults = ["cut", "reset", "busy", "ignores range", "ignores if-range", "416", "changes"]
        faults += ["wrong start", "other etag", "packed", "page", "wrong md5", "no length"]
        faults += ["redirect", "loop", "elsewhere", "private", "stall", *_RAW]
        fault = self.random.choice([*faults, "none", "none", "none"])
        if fault == "none" or self.left <= 0:
            return good
        self.left -= 1
        return self._spoil(fault, asked, good, body, etag)

    def _spoil(self, fault, asked, good, body, etag):
        if fault in ("cut", "reset"):
            good.cut = self.random.randint(0, len(good.body))
            good.end = "reset" if fault == "reset" else "close"
        elif fault == "stall" and self.stalls:
            self.stalls -= 1
            good.cut, good.end = self.random.randint(0, len(good.body)), "stall"
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
            self.now[asked.path] = 1
            return self(asked)
        elif fault == "wrong start" and good.status == 206:
            good.headers["Content-Range"] = f"bytes 1-{len(body) - 1}/{len(body)}"
        else:
            return self._lie(fault, asked, good, body, etag)
        return good

    def _lie(self, fault, asked, good, body, etag):
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
        elif fault in ("redirect", "loop", "elsewhere", "private"):
            targets = {
                "redirect": asked.path,
                "loop": f"{asked.path}?again",
                "elsewhere": self.second.url(asked.path),
                "private": f"http://{self.random.choice(_PRIVATE)}/latest/meta-data",
            }
            return self.answer(302, b"", {"Location": targets[fault]})
        elif fault in _RAW:
            return self.answer(raw=_RAW[fault](body, etag.encode()))
        return good


@pytest.mark.parametrize("seed", range(25))
def test_any_mixture_of_faults_ends_exact_or_named(
    server, second_server, tmp_path, seed, make_answer, serve_ranges
):
    faulty = Faulty(seed, make_answer, serve_ranges, second_server)
    for path in faulty.versions:
        server.answer(path, faulty)
        second_server.answer(path, faulty)
    secrets = Secrets.bearer(server.url("/"), "sesame")
    wanted = [Request(server.url(path), tmp_path / path[1:]) for path in faulty.versions]
    for last in (False, True):
        faulty.left = 0 if last else faulty.left
        outcomes = list(
            transfer(
                wanted,
                source_origin=server.url("/"),
                secrets=secrets,
                concurrency=4,
                timeout=30.0 if last else 0.5,
            )
        )
        assert len(outcomes) == FILES
        for outcome in outcomes:
            place = Path(outcome.request.path)
            assert not (last and outcome.error), outcome
            if outcome.error is None or place.exists():
                assert place.read_bytes() in faulty.versions[f"/{place.name}"], outcome
    assert sorted(os.listdir(tmp_path)) == sorted(f"{n}.tif" for n in range(FILES))
    assert {asked.headers.get("authorization") for asked in server.asked} == {"Bearer sesame"}
    assert not [asked for asked in second_server.asked if "authorization" in asked.headers]


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
