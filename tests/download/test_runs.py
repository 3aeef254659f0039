"""Runs that end early, are killed, or meet one another lose nothing that is whole."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from haversack.download import parts
from haversack.download.transfer import Request, transfer


def wait_for_part(directory):
    """Wait until the first buffer of a big file is on disk."""
    while not any(p.stat().st_size >= 250_000 for p in directory.iterdir()):
        time.sleep(0.01)


def test_two_runs_at_once_do_no_harm(server, tmp_path):
    files = {str(n): os.urandom(50_000) for n in range(60)}
    for name, body in files.items():
        server.file(f"/{name}", body)
    wanted = [Request(server.url(f"/{name}"), tmp_path / name) for name in files]
    errors = []

    def run():
        found = transfer(wanted, source_origin=server.url("/"))
        errors.extend(outcome.error for outcome in found)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == [None] * 120
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == files


def test_a_file_whose_part_was_taken_away_is_fetched_again(
    server, get, here, monkeypatch, multihash
):
    server.file("/a", b"x" * 1000)
    replace, taken = os.replace, []

    def take_away(part, final):
        if not taken:
            taken.append(part)
            Path(part).unlink()
        replace(part, final)

    monkeypatch.setattr(os, "replace", take_away)
    outcome = get("/a")["/a"]
    assert (outcome.error, outcome.tries) == (None, 2)
    assert outcome.checksum == multihash(b"x" * 1000)
    assert here() == {"a": b"x" * 1000}


def test_stopping_early_leaves_parts_and_no_threads(
    server, get, here, make_answer, tmp_path, megabyte
):
    before = set(threading.enumerate())
    server.file("/a", b"x")
    etag = {"ETag": '"1"'}
    server.answer("/slow", make_answer(200, megabyte, etag, cut=600_000, end="stall"))
    wanted = [Request(server.url(f"/{name}"), tmp_path / "out" / name) for name in ("slow", "a")]
    running = transfer(wanted, source_origin=server.url("/"))
    assert next(running).request.url.endswith("/a")
    wait_for_part(tmp_path / "out")
    running.close()
    ours = ("haversack-move", "haversack-write", "haversack-sync")
    begun = set(threading.enumerate()) - before
    assert not [thread for thread in begun if thread.name.startswith(ours)]
    kept = here()
    assert kept.pop("a") == b"x"
    ((name, content),) = kept.items()
    assert name.startswith(parts.PREFIX)
    assert megabyte.startswith(content)


def test_ctrl_c_ends_soon_and_leaves_a_part(server, make_answer, tmp_path, megabyte):
    etag = {"ETag": '"1"'}
    url = server.answer("/slow", make_answer(200, megabyte, etag, cut=600_000, end="stall"))
    program = f"""
import sys, pathlib
from haversack.download.transfer import Request, transfer
wanted = [Request({url!r}, pathlib.Path({str(tmp_path)!r}) / "slow")]
try:
    list(transfer(wanted, source_origin={url!r}))
except KeyboardInterrupt:
    sys.exit(77)
"""
    child = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE)
    wait_for_part(tmp_path)
    child.send_signal(2)
    _, said = child.communicate(timeout=5)
    assert (child.returncode, said) == (77, b"")
    ((name, size),) = [(p.name, p.stat().st_size) for p in tmp_path.iterdir()]
    assert name.startswith(parts.PREFIX)
    assert 250_000 <= size <= 600_000


def test_a_killed_run_leaves_no_half_file_and_is_gone_on_with(server, make_answer, tmp_path, get):
    for n in range(200):
        server.file(f"/{n}", bytes([n]) * 30_000)
    url = server.url("/")
    program = f"""
import pathlib
from haversack.download.transfer import Request, transfer
out = pathlib.Path({str(tmp_path)!r}, "out")
wanted = [Request({url!r} + str(n), out / str(n)) for n in range(200)]
for outcome in transfer(wanted, source_origin={url!r}, fsync="each"):
    print(outcome.request.path.name, flush=True)
"""
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert child.stdout is not None
    told = {child.stdout.readline().strip().decode() for _ in range(20)}
    child.kill()
    child.communicate()
    whole = {p.name for p in (tmp_path / "out").iterdir() if not p.name.startswith(".part")}
    assert told <= whole
    for name in whole:
        assert (tmp_path / "out" / name).read_bytes() == bytes([int(name)]) * 30_000
    assert all(o.error is None for o in get(*(f"/{n}" for n in range(200))).values())
    assert {p.name for p in (tmp_path / "out").iterdir()} == {str(n) for n in range(200)}
