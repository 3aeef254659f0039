"""The old split_dataset package, in its own environment, reads what we write, and we its files."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from haversack.split import EmptySplitDataset, FrameWriter, SplitDataset, save_to_split_dataset

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


def test_old_package_reads_what_cannot_be_compressed(tmp_path):
    data = np.random.default_rng(2).integers(0, 1 << 16, (12, 2, 64, 320)).astype("uint16")
    saved = save_to_split_dataset(data, tmp_path / "new", block_size=(6, None, None, None))
    rows = saved._block(0).rows
    assert rows is not None
    assert rows.is_stored
    old(
        "from split_dataset import SplitDataset\n"
        "np.save('read.npy', SplitDataset('new')[:, :, :, :])",
        tmp_path,
    )
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


@pytest.mark.parametrize("compression", ["blosc", None])
def test_blocks_that_flammkuchen_writes_between_are_finished_and_read_by_both(
    tmp_path, volumes, compression
):
    np.save(tmp_path / "data.npy", volumes)
    size, distances = (4, None, 40), (1, 5, 2, 2)
    empty = EmptySplitDataset(tmp_path, "new", volumes.shape, size, resolution=distances)
    jobs = [[name, str(empty[number])] for number, name in enumerate(empty.files)]
    old(
        "import flammkuchen as fl\n"
        "data = np.load('data.npy')\n"
        f"for name, where in {jobs}:\n"
        "    fl.save('new/' + name, {'stack_4D': data[eval(where)]}, "
        f"compression={compression!r})",
        tmp_path,
    )
    found = empty.finalize()
    assert (found.is_ours, found.data_key, found.resolution) == (False, "stack_4D", distances)
    np.testing.assert_array_equal(found[...], volumes)
    theirs = old(
        "from split_dataset import SplitDataset\n"
        "ds = SplitDataset('new'); np.save('read.npy', ds[:, :, :, :])\n"
        "print(json.dumps([list(ds.shape), list(ds.resolution)]))",
        tmp_path,
    )
    assert theirs == [list(volumes.shape), [1, 5, 2, 2]]
    np.testing.assert_array_equal(np.load(tmp_path / "read.npy"), volumes)


@pytest.mark.parametrize(
    "arguments",
    [
        {"block_size": (4,)},
        {"block_size": (4, 2), "prefix": "run"},
        {"block_size": (None, None, 40), "crop": ((1, 0), (0, 1), (5, 6), (0, 7))},
        {"block_size": (4, 5, 70, 61), "crop": ((0, 0),) * 4, "prefix": "run"},
    ],
)
def test_the_same_call_saves_the_same_array_at_the_same_place(tmp_path, volumes, arguments):
    np.save(tmp_path / "data.npy", volumes)
    where, size = old(
        "from split_dataset import save_to_split_dataset\n"
        f"made = save_to_split_dataset(np.load('data.npy'), 'old', **{arguments!r})\n"
        "print(json.dumps([str(made.root), list(made.shape_block)], default=int))",
        tmp_path,
    )
    made = save_to_split_dataset(volumes, tmp_path / "new", **arguments)
    assert made.root == tmp_path / where.replace("old", "new", 1)
    assert made.shape_block == tuple(size)
    assert [path.name for path in made.files.flat] == sorted(
        path.name for path in (tmp_path / where).glob("*.h5")
    )
    np.testing.assert_array_equal(made, SplitDataset(tmp_path / where))


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


ODD = [
    {"shape_block": [4, None, None, None]},
    {"shape_block": [4]},
    {"padding": None},
    {"padding": {"t": 2}},
    {"padding": [2, 0]},
    {"resolution": float("nan")},
    {"resolution": {"z": 5}},
    {"resolution": 0.5, "crop": [0, 0, 9, 8]},
]


@pytest.mark.parametrize(
    ("names", "prefix", "change"),
    [
        *(("{:04d}", None, change) for change in ODD),
        ("fish_{:04d}", "fish", {}),
        ("2021_fish_stack_{:04d}", "stack", {}),
        ("{:04d}_channel2", None, {}),
        ("z{:04d}_of_0004", None, {}),
    ],
)
def test_we_open_what_the_old_package_opens(tmp_path, volumes, names, prefix, change):
    np.save(tmp_path / "a.npy", volumes)
    old(
        "from pathlib import Path\n"
        "from split_dataset import SplitDataset, save_to_split_dataset\n"
        "save_to_split_dataset(np.load('a.npy'), 'old', (4, 5, 70, 61))\n"
        "for number, path in enumerate(sorted(Path('old').glob('*.h5'))):\n"
        f"    path.rename('old/' + {names!r}.format(number) + '.h5')\n"
        "path, nan = Path('old/stack_metadata.json'), float('nan')\n"
        f"path.write_text(json.dumps({{**json.loads(path.read_text()), **{change!r}}}))\n"
        f"np.save('read.npy', SplitDataset('old', prefix={prefix!r})[:, :, :, :])",
        tmp_path,
    )
    np.testing.assert_array_equal(np.load(tmp_path / "read.npy"), volumes)
    np.testing.assert_array_equal(SplitDataset(tmp_path / "old", prefix=prefix), volumes)


@pytest.mark.parametrize("compression", ["bzip2", "zlib", "blosc:zstd"])
def test_we_read_every_compression_and_metadata_that_leaves_lengths_open(
    tmp_path, volumes, compression
):
    np.save(tmp_path / "a.npy", volumes)
    old(
        "import os\nimport flammkuchen as fl\n"
        "data = np.load('a.npy')\nos.mkdir('old')\n"
        "about = {'full_size': data.shape, 'block_size': (5, None, 70, None)}\n"
        "for number, start in enumerate(range(0, 13, 5)):\n"
        "    content = {'stack': data[start:start + 5], 'stack_metadata': about}\n"
        f"    fl.save(f'old/{{number:04d}}.h5', content, compression={compression!r})",
        tmp_path,
    )
    ds = SplitDataset(tmp_path / "old")
    np.testing.assert_array_equal(ds, volumes)
    assert (ds.shape_block, ds.verify()) == ((5, 5, 70, 61), [])
