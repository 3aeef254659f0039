"""The old acumenindexer package, in its own environment, reads what we export, and we its files."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from haversack import PackWriter, load_index, read_from_index
from haversack.convert import export_acumen, import_acumen

pytestmark = pytest.mark.compat

# Beside the environment that runs the tests, as tests/compat/environments.sh makes it.
OLD_PYTHON = Path(sys.prefix) / "compat-acumen" / "bin" / "python"

READ = """
index = ai.load_index('old/index.csv')
for in_memory in (False, True):
    read = ai.read_from_index(index, dtype=DTYPE, chunk_paths='old', in_memory=in_memory)
    for n in range(len(index)):
        data, metadata = read(n)
        assert (metadata['n'], metadata['name']) == (n, f'it is, "{n}"'), metadata
        np.save(f'{in_memory}-{n}.npy', data)
"""
# One job: with more, the old package mixes up its own chunks.
BUILD = """
def read(n):
    return np.load(f'{n}.npy'), {'n': n, 'name': f'it is, "{n}"', 'code': f'{n:03}'}
ai.split_into_chunks(list(range(20)), 'old', read, chunk_size_bytes=SIZE, n_jobs=1, dtype=DTYPE)
"""


def old(program, cwd, **values):
    """Run a program with the old package."""
    head = "import numpy as np\nimport acumenindexer as ai\n"
    given = "".join(f"{name} = {value!r}\n" for name, value in values.items())
    done = subprocess.run(
        [OLD_PYTHON, "-W", "ignore", "-c", head + given + program],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture
def arrays():
    random = np.random.default_rng(8)
    shapes = [(random.integers(1, 9), random.integers(1, 9), 3)[: n % 4] for n in range(20)]
    return [random.integers(0, 200, shape) for shape in shapes]


@pytest.mark.parametrize(
    "dtype", ["uint8", "float16", "float64", "int32", "complex64", "bool", ">u2"]
)
def test_old_package_reads_what_we_export(tmp_path, arrays, dtype):
    made = [np.asarray(array).astype(dtype) for array in arrays]
    with PackWriter(tmp_path / "packed") as writer:
        for n, array in enumerate(made):
            writer.append(array, key=f"key {n}", n=n, name=f'it is, "{n}"')
    told = export_acumen(tmp_path / "packed", tmp_path / "old", chunk_size_bytes=500)
    assert told["chunks"] > 1 or made[0].itemsize == 1
    old(READ, tmp_path, DTYPE=told["dtype"])
    for n, array in enumerate(made):
        for in_memory in (False, True):
            np.testing.assert_array_equal(np.load(tmp_path / f"{in_memory}-{n}.npy"), array)


@pytest.mark.parametrize("size", [100, 10_000])
@pytest.mark.parametrize("dtype", ["float16", "uint8", "float64"])
def test_we_read_and_import_what_the_old_package_writes(tmp_path, arrays, dtype, size):
    for n, array in enumerate(arrays):
        np.save(tmp_path / f"{n}.npy", array)
    old(BUILD, tmp_path, DTYPE=dtype, SIZE=size)
    read = read_from_index(load_index(tmp_path / "old"), dtype=dtype)
    with import_acumen(tmp_path / "old", tmp_path / "new", dtype=dtype) as packed:
        for n, array in enumerate(arrays):
            for data, metadata in (read(n), packed[n]):
                assert data.dtype == dtype
                np.testing.assert_array_equal(data, array)
                assert metadata["n"] == n
                assert metadata["name"] == f'it is, "{n}"'
