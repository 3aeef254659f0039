"""A script that builds a dataset and writes down what it reads, to be killed at any time."""

import os
import subprocess
import sys
import time
from pathlib import Path

from haversack.packed import open_packed

SCRIPT = """
import logging, os, sys, time
import numpy as np
import haversack
from haversack.packed.build import runs

runs.SMALLEST = 2000
COUNT = 400

def read(number):
    descriptor = os.open(os.environ["LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, b"%d\\n" % number)
    os.close(descriptor)
    time.sleep(float(os.environ["PAUSE"]))
    if number % 97 == 5:
        raise ValueError("bad")
    return np.full(number % 5 + 1, number, "u4"), {"n": number, "k": f"key {number % 350}"}

def main(path, how):
    logging.basicConfig(level="INFO", format="%(message)s")
    options = {"workers": 2} if how == "processes" else {"workers": int(how)}
    reading = (lambda number: read(number)) if how == "2" else read
    skipped = []
    ds = haversack.pack(range(COUNT), path, read=reading, key="k", errors="skip",
                        report=skipped.append, chunk_bytes=1 << 20, **options)
    print([s.number for s in skipped])

if __name__ == "__main__":
    main(*sys.argv[1:])
"""


def start(folder, path, log, *, pause=0.0, how="1"):
    """Start a build in a process of its own."""
    script = folder / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, str(script), str(path), how]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "LOG": str(log), "PAUSE": str(pause)},
    )


def finish(process):
    """Wait for a build to end well; give what it printed and logged."""
    out, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    return out, err


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def lines(log):
    return [int(line) for line in Path(log).read_text().split()] if os.path.exists(log) else []


def content(path):
    """All that a build has decided: chunks, their payloads, keys and metadata, in order."""
    ds = open_packed(path)
    chunks = [
        (entry.rows, entry.keys, entry.dtype, entry.shape) for entry in ds._snapshot.manifest.chunks
    ]
    payloads = [
        bytes(chunk.payload(row)) for chunk in ds._snapshot.chunks() for row in range(chunk.rows)
    ]
    arrays = [(r.key, r.data.dtype.str, r.data.tolist(), r.metadata) for r in ds]
    return chunks, payloads, arrays


def check_nothing_else(path):
    """Raise unless the directory holds the files of its version and no others."""
    ds = open_packed(path)
    ids = sorted(entry.id for entry in ds._snapshot.manifest.chunks)
    assert sorted(p.name for p in (path / "chunks").iterdir()) == [f"{i}.chunk" for i in ids]
    assert sorted(p.name for p in (path / "index").iterdir()) == [f"{i}.parquet" for i in ids]
    assert not (path / "build").exists()
    assert ds.verify() == []
