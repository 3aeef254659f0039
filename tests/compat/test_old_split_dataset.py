"""The old split_dataset package, in its own environment, reads what we write, and we its files."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from haversack.split import (
    Blocks,
    EmptySplitDataset,
    FrameWriter,
    SplitDataset,
    save_to_split_dataset,
)

pytestmark = pytest.mark.compat

# Beside the environment that runs the tests, as tests/compat/environments.sh makes it.
OLD_PYTHON = Path(sys.prefix) / "compat-split" / "bin" / "python"


def old(program, cwd):
    """Run a program with the old package; what it prints is JSON."""
    done = subprocess.run(
        [OLD_PYTHON, "-W", "ignore", "-c", f"import json\nimport numpy as np\n{program}"],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if done.stdout else None


@pytest.fixture
def volumes():
    return np.random.default_rng(5).integers(0, 4000, (13, 5, 70, 61)).astype("uint16")


@pytest.mark.parametrize("compression", ["blosc", "zstd", "zlib", None])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float32", "float64", "bool"])
def test_old_package_reads_what_we_write(tmp_path, volumes, dtype, compression):
    data = (volumes % 3).astype(dtype)
    blocks = (4, None, 40, None)
    save_to_split_dataset(data, tmp_path / "new", block_size=blocks, compression=compression)
    shape = old(
        "from split_dataset import SplitDataset\n"
        "ds = SplitDataset('new')\n"
        "data = ds[:, :, :, :]\n"
        "np.save('read.npy', data)\n"
        "print(json.dumps([list(ds.shape), str(ds.dtype), ds.data_key]))",
        tmp_path,
    )
    assert shape == [list(data.shape), dtype, "stack_4D"]
    np.testing.assert_array_equal(np.load(tmp_path / "read.npy"), data)


@pytest.mark.parametrize("shape", [(3,), (40, 30), (1, 1, 1), (9, 8, 7, 6, 5)])
def test_old_package_reads_any_number_of_axes(tmp_path, shape):
    data = np.random.default_rng(1).normal(size=shape)
    size = (2, *(None,) * (len(shape) - 1))
    save_to_split_dataset(data, tmp_path / "new", block_size=size)
    index = "tuple(slice(None) for _ in ds.shape)"
    old(
        "from split_dataset import SplitDataset\n"
        f"ds = SplitDataset('new'); np.save('read.npy', ds[{index}])",
        tmp_path,
    )
    np.testing.assert_array_equal(np.load(tmp_path / "read.npy"), data)


@pytest.mark.parametrize("compression", ["blosc", "zlib", None])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "bool", "complex64"])
def test_we_read_what_the_old_package_writes(tmp_path, volumes, dtype, compression):
    data = (volumes % 3).astype(dtype)
    np.save(tmp_path / "data.npy", data)
    old(
        "from split_dataset import save_to_split_dataset\n"
        "save_to_split_dataset(np.load('data.npy'), 'old', block_size=(4, None, 40, None), "
        f"compression={compression!r})",
        tmp_path,
    )
    before = {path: path.read_bytes() for path in (tmp_path / "old").iterdir()}
    ds = SplitDataset(tmp_path / "old")
    assert (ds.shape, ds.dtype, ds.n_blocks) == (data.shape, data.dtype, 8)
    np.testing.assert_array_equal(ds[...], data)
    np.testing.assert_array_equal(ds[::-2, 1, [5, 60], 3:9], data[::-2, 1, [5, 60], 3:9])
    assert ds.verify() == []
    assert {path: path.read_bytes() for path in (tmp_path / "old").iterdir()} == before


def test_we_read_the_padded_blocks_that_the_old_package_cannot(tmp_path, volumes):
    np.save(tmp_path / "data.npy", volumes)
    old(
        "from split_dataset import save_to_split_dataset\n"
        "data = np.load('data.npy')\n"
        "try: save_to_split_dataset(data, 'old', block_size=(4, 3, 40, 61), padding=2)\n"
        "except ValueError: pass  # it writes, then cannot open what it wrote",
        tmp_path,
    )
    ds = SplitDataset(tmp_path / "old")
    assert ds.padding == (2, 2, 2, 2)
    np.testing.assert_array_equal(ds[...], volumes)


def test_we_read_blocks_saved_one_by_one_and_the_oldest_metadata(tmp_path, volumes):
    np.save(tmp_path / "data.npy", volumes)
    old(
        "from pathlib import Path\n"
        "import flammkuchen as fl\n"
        "from split_dataset import EmptySplitDataset\n"
        "data = np.load('data.npy')\n"
        "empty = EmptySplitDataset('.', 'old', shape_full=data.shape, shape_block=(4, 5, 70, 61))\n"
        "for n, (_, where) in enumerate(empty.slices()): empty.save_block_data(n, data[where])\n"
        "empty.finalize()\n"
        "Path('legacy').mkdir()\n"
        "about = {'block_size': (4, 5, 70, 61), 'full_size': data.shape}\n"
        "for n, (_, where) in enumerate(empty.slices()):\n"
        "    fl.save(f'legacy/{n:04d}.h5', {'stack': data[where], 'stack_metadata': about},\n"
        "            compression='blosc')",
        tmp_path,
    )
    np.testing.assert_array_equal(SplitDataset(tmp_path / "old")[...], volumes)
    np.testing.assert_array_equal(SplitDataset(tmp_path / "legacy")[...], volumes)


def test_grid_is_the_old_one_where_the_old_one_was_right(tmp_path):
    cases = [((6, 8), (4, 3), 0), ((9, 9, 4), (3, 3, 4), 1), ((5,), (2,), 0), ((7, 3), (9, 9), 0)]
    theirs = old(
        "from split_dataset import Blocks\n"
        f"all = [Blocks(f, b, padding=p) for f, b, p in {cases!r}]\n"
        "print(json.dumps([[list(b.slices(as_tuples=True)), b.centres().tolist(),\n"
        "   b.block_starts.tolist(), b.block_ends.tolist(), b.n_blocks]\n"
        "   for b in all], default=int))",
        tmp_path,
    )
    for (full, block, padding), expected in zip(cases, theirs, strict=True):
        ours = Blocks(full, block, padding=padding)
        found = [list(ours.slices(as_tuples=True)), ours.centres().tolist()]
        found += [ours.block_starts.tolist(), ours.block_ends.tolist(), ours.n_blocks]
        assert json.loads(json.dumps(found)) == expected


def test_a_finished_directory_has_only_names_that_the_old_package_expects(tmp_path):
    data = np.arange(60).reshape(6, 10)
    empty = EmptySplitDataset(tmp_path, "new", data.shape, (2, None))
    for number, (_, where) in enumerate(empty.slices()):
        empty.save_block_data(number, data[where])
    empty.finalize()
    names = sorted(path.name for path in (tmp_path / "new").iterdir())
    assert names == ["0000.h5", "0001.h5", "0002.h5", "stack_metadata.json"]


@pytest.mark.parametrize("count", [3, 8, 13])
def test_old_package_reads_what_a_frame_writer_has_closed(tmp_path, volumes, count):
    with FrameWriter(tmp_path / "live", block_size=(4, None, 40, None)) as writer:
        for frame in volumes[:2]:
            writer.append(frame)
    with FrameWriter(tmp_path / "live") as writer:
        writer.extend(volumes[2:count])
    shape = old(
        "from split_dataset import SplitDataset\n"
        "ds = SplitDataset('live'); np.save('read.npy', ds[:, :, :, :])\n"
        "print(json.dumps(list(ds.shape)))",
        tmp_path,
    )
    assert shape == [count, *volumes.shape[1:]]
    np.testing.assert_array_equal(np.load(tmp_path / "read.npy"), volumes[:count])


@pytest.mark.parametrize("layout", ["frames", "traces"])
def test_old_package_reads_every_layout_pyramids_and_blocks_written_over(tmp_path, volumes, layout):
    ds = save_to_split_dataset(volumes, tmp_path / "new", (4, None, 40, None), layout=layout)
    ds[3:6, 1] = 5
    ds.build_pyramid(1)
    old(
        "from split_dataset import SplitDataset\n"
        "np.save('read.npy', SplitDataset('new')[:, :, :, :])",
        tmp_path,
    )
    volumes[3:6, 1] = 5
    np.testing.assert_array_equal(np.load(tmp_path / "read.npy"), volumes)
