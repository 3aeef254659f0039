"""The real bcolz, in its own environment, writes the directories that we take over.

The old storage API was never released. Its whole use of bcolz is the two calls below; the table
beside them is what ``DataFrame.to_json`` wrote.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from haversack.convert import import_bcolz

pytestmark = pytest.mark.compat

# Beside the environment that runs the tests, as tests/compat/environments.sh makes it.
OLD_PYTHON = Path(sys.prefix) / "compat-bcolz" / "bin" / "python"

WRITE = """
import os, sys, warnings
import numpy as np
import bcolz

for name in sorted(os.listdir('arrays')):
    location, source, cname, shuffle = name.removesuffix('.npy').split(',')
    bcolz.defaults.cparams = {"clevel": 5, "shuffle": int(shuffle), "cname": cname, "quantize": 0}
    os.makedirs(f'old/{location}', exist_ok=True)
    array = np.load(f'arrays/{name}')
    stored = bcolz.carray(array, rootdir=f'old/{location}/{source}', mode='w')
    stored.flush()
    np.save(f'read/{name}', bcolz.open(f'old/{location}/{source}', mode='r')[:])
"""
ARRAYS = {
    "cube": np.random.default_rng(3).random((100, 100, 3, 2)),
    "long": np.arange(300_000, dtype="i4").reshape(100_000, 3),
    "zeros": np.zeros((2000, 500), "f4"),
    "scalar": np.array(2.5),
    "empty": np.zeros((0, 4), "u2"),
    "big-endian": np.arange(1000, dtype=">u2"),
    "flags": np.random.default_rng(4).random((64, 64)) > 0.5,
    "halves": np.ones((3, 3), "f2"),
    "bytes": np.array([b"abc", b"d"] * 4000),
    "text": np.array(["abc", "d\u20ac"] * 4000),
    "exact": np.arange(4096 * 4, dtype="u1").reshape(4096, 4),
}


def test_what_bcolz_writes_is_taken_over(tmp_path):
    for folder in ("arrays", "old", "read"):
        (tmp_path / folder).mkdir()
    names = {}
    for number, (name, array) in enumerate(ARRAYS.items()):
        for cname, shuffle in [("lz4", 1), ("blosclz", number % 3), ("zstd", 2), ("zlib", 0)]:
            ids = (name, f"{cname}{shuffle}")
            names[ids] = f"{name},{cname}{shuffle},{cname},{shuffle}.npy"
            np.save(tmp_path / "arrays" / names[ids], array)
    done = subprocess.run(
        [OLD_PYTHON, "-W", "ignore", "-c", WRITE],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = [(*ids, {"file": name}) for ids, name in names.items()]
    columns = ("location_id", "source_id", "metadata")
    table = {c: {str(n): row[at] for n, row in enumerate(rows)} for at, c in enumerate(columns)}
    (tmp_path / "old" / "metadata.json").write_text(json.dumps(table))

    made = import_bcolz(tmp_path / "old", tmp_path / "new")
    assert (made.images, made.missing, made.damaged) == (len(names), [], [])
    for ids, name in names.items():
        found, theirs = made.dataset.load_image(*ids), np.load(tmp_path / "read" / name)
        assert (found.dtype, found.shape) == (theirs.dtype, theirs.shape)
        np.testing.assert_array_equal(found, theirs)
        np.testing.assert_array_equal(found, np.atleast_1d(ARRAYS[ids[0]]))


OBJECTS = """
import numpy as np
import bcolz
bcolz.carray(np.array([{}, 1], object), rootdir='old/a/s', mode='w').flush()
bcolz.carray(np.zeros(3, [('x', 'f4')]), rootdir='old/b/s', mode='w').flush()
bcolz.carray(np.arange(5), rootdir='old/c/s', mode='w').flush()
try:
    bcolz.carray(np.zeros(3, 'complex64'), rootdir='old/d/s', mode='w')
except TypeError:
    pass
"""


def test_what_bcolz_itself_cannot_give_back_is_told(tmp_path):
    for name in "abcd":
        (tmp_path / "old" / name).mkdir(parents=True)
    subprocess.run([OLD_PYTHON, "-W", "ignore", "-c", OBJECTS], cwd=tmp_path, check=True)
    rows = {"location_id": "abcd", "source_id": "ssss", "metadata": [{}] * 4}
    table = {name: {str(n): v for n, v in enumerate(values)} for name, values in rows.items()}
    (tmp_path / "old" / "metadata.json").write_text(json.dumps(table))
    made = import_bcolz(tmp_path / "old", tmp_path / "new")
    assert made.images == 1
    assert made.dataset.load_image("c", "s").tolist() == [0, 1, 2, 3, 4]
    told = {each.path.parent.name: each.what for each in made.damaged}
    assert "pickled" in told["a"]
    assert "cannot be read back" in told["b"]
    assert "storage is damaged" in told["d"]
