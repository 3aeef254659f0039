"""What is exported is whole, or is not there: on full disks, interrupted, in any shape."""

import json
import signal
import subprocess
import sys
import threading
import time

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from haversack.convert import arrays, export_array, filling
from haversack.convert import hdf5 as hdf5_module
from haversack.errors import UnsupportedError, UsageError
from haversack.split import FrameWriter, SplitDataset, save_to_split_dataset
from haversack.split.directory.metadata import METADATA, checksum_of

DTYPES = ["?", "u1", "<u2", ">i4", "f2", "<f8", "c16", "g"]


def read(path):
    if path.suffix == ".npy":
        return np.load(path)
    with h5py.File(path) as hdf5:
        return np.asarray(hdf5["stack"][()], hdf5["stack"].dtype)


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_others_read_what_was_exported(tmp_path_factory, data):
    tmp_path = tmp_path_factory.mktemp("exports")
    shape = data.draw(st.lists(st.integers(0, 12), min_size=1, max_size=4).map(tuple))
    dtype = np.dtype(data.draw(st.sampled_from(DTYPES)))
    array = np.random.default_rng(1).integers(0, 9, shape).astype(dtype)
    size = [data.draw(st.none() | st.integers(1, 20)) for _ in shape]
    saved = save_to_split_dataset(array, tmp_path / "saved", size)
    each = [slice(None), slice(None, None, -2)]
    index = tuple(data.draw(st.sampled_from([*each, 0] if length else each)) for length in shape)
    chunks = tuple(data.draw(st.integers(1, max(1, length))) for length in array[index].shape)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hdf5_module, "chunk_shape_for", lambda *_: chunks)
        patch.setattr(filling, "_PIECE", data.draw(st.sampled_from([1, 1 << 12, 1 << 25])))
        for name in ("a.npy", "a.h5"):
            found = read(export_array(saved.view[index], tmp_path / name))
            np.testing.assert_array_equal(found, array[index])
            assert found.dtype == dtype


@pytest.fixture
def noise(tmp_path):
    """An array that no compression makes smaller."""
    data = np.random.default_rng(0).integers(0, 1 << 16, (60, 4, 64, 64)).astype("u2")
    return save_to_split_dataset(data, tmp_path / "noise", (2, None, None, None))


def run(program, *arguments):
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


LIMITED = """
import resource, sys
from haversack.convert import export_array, filling
from haversack.errors import StorageError
from haversack.split import SplitDataset
filling._PIECE = 1 << 18
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
for _ in range(2):
    try:
        export_array(SplitDataset(sys.argv[1]), sys.argv[2])
    except StorageError as error:
        print(error)
print("alive")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of files")
@pytest.mark.parametrize("limit", [0, 900, 1_000_001])
@pytest.mark.parametrize("name", ["a.npy", "a.h5"])
def test_a_disk_that_takes_no_more_ends_in_an_error_and_nothing_else(noise, tmp_path, name, limit):
    child = run(LIMITED, noise.root, tmp_path / name, limit)
    told, errors = child.communicate()
    assert (child.returncode, errors) == (0, "")
    first, second, last = told.splitlines()
    assert first == second
    assert first.startswith(f"cannot write {tmp_path / name}: ")
    assert last == "alive"
    assert [each.name for each in tmp_path.iterdir()] == ["noise"]


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """An array that takes some time to export."""
    data = np.random.default_rng(0).integers(0, 1 << 16, (400, 4, 64, 64)).astype("u2")
    folder = tmp_path_factory.mktemp("exports") / "long"
    return save_to_split_dataset(data, folder, (4, None, None, None))


INTERRUPTED = """
import sys, time
from haversack.convert import export_array, filling
from haversack.split import SplitDataset
filling._PIECE = 1 << 17
def tell(event):
    print(event, flush=True)
    if event.done > event.total / 2:  # whoever interrupts may be late
        time.sleep(0.1)
try:
    export_array(SplitDataset(sys.argv[1]), sys.argv[2], progress=tell)
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent otherwise there")
@pytest.mark.parametrize("name", ["a.npy", "a.h5"])
def test_who_interrupts_is_heard_at_once_and_nothing_is_left(long, tmp_path, name):
    for pause in (0.0, 0.1):
        child = run(INTERRUPTED, long.root, tmp_path / name)
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(pause)
        child.send_signal(signal.SIGINT)
        told, errors = child.communicate()
        assert ("interrupted" in told.splitlines(), errors) == (True, "")
        assert not [*tmp_path.iterdir()]


BEGUN = """
import concurrent.futures, gc, sys
import h5py
from haversack.convert import export_array, hdf5
from haversack.split import SplitDataset

wait = concurrent.futures.Future.result

def fail(*_):
    raise RuntimeError("begun")

def interrupted(self, timeout=None):
    concurrent.futures.Future.result = wait
    if "late" in sys.argv:
        wait(self)
    raise KeyboardInterrupt("begun")

def closed_early():
    with open(sys.argv[2], "w+b", buffering=0) as raw:
        file = h5py.File(hdf5._Disk(raw), "w")
        file["stack"] = [1, 2, 3]
    raise RuntimeError("begun")

try:
    if sys.argv[3] == "closed":
        closed_early()
    if sys.argv[3] == "fails":
        hdf5.chunk_shape_for = fail
    else:
        concurrent.futures.Future.result = interrupted
    export_array(SplitDataset(sys.argv[1]), sys.argv[2])
except (RuntimeError, KeyboardInterrupt) as error:
    print(error)
gc.collect()
print("alive")
"""


@pytest.mark.parametrize("how", ["fails", "early", "late", "closed"])
def test_a_file_that_is_only_begun_does_not_bring_the_process_down(noise, tmp_path, how):
    """HDF5 writes what it has when the file is closed, at the end of the process at the latest."""
    place = tmp_path / "new" / "a.h5"
    if how == "closed":
        place.parent.mkdir()
    child = run(BEGUN, noise.root, place, how)
    told, errors = child.communicate()
    assert (child.returncode, told, errors) == (0, "begun\nalive\n", "")
    assert place.exists() == (how == "closed")


@pytest.mark.parametrize("name", ["a\udcff", "a\0b"])
def test_a_name_that_is_no_text_is_refused_where_it_is_given_and_by_hdf5(tmp_path, name):
    data = np.arange(12).reshape(3, 4)
    with pytest.raises(UsageError, match="of an axis is no text"):
        save_to_split_dataset(data, tmp_path / "a", axes=(name, "x"))
    with pytest.raises(UsageError, match="of an axis is no text"):
        FrameWriter(tmp_path / "a", axes=(name, "x"))
    assert not [*tmp_path.iterdir()]
    save_to_split_dataset(data, tmp_path / "a", axes=("y", "x"))
    document = json.loads((tmp_path / "a" / METADATA).read_text())
    document["haversack"]["axes"][0] = name
    document["haversack"]["crc32c"] = checksum_of(document)
    (tmp_path / "a" / METADATA).write_text(json.dumps(document))
    split = SplitDataset(tmp_path / "a")  # as written before
    assert split.axes == (name, "x")
    with pytest.raises(UsageError, match="saved anew with axes="):
        export_array(split, tmp_path / "a.h5")
    assert [each.name for each in tmp_path.iterdir()] == ["a"]
    named = save_to_split_dataset(split, tmp_path / "b", axes=("y", "x"))
    np.testing.assert_array_equal(read(export_array(named, tmp_path / "a.h5")), data)


@pytest.mark.parametrize("given", [np.zeros(3), "nope", None])
def test_what_is_no_split_array_is_not_exported(tmp_path, given):
    with pytest.raises(UnsupportedError, match=r"is no split array: .* save_to_split_dataset"):
        export_array(given, tmp_path / "a.npy")
    assert not [*tmp_path.iterdir()]


def test_blocks_that_are_shorter_than_chunks_are_not_written_twice(noise, tmp_path, monkeypatch):
    regions = []
    monkeypatch.setattr(filling, "_PIECE", 1 << 18)

    def note(event):
        regions.append(event)

    export_array(noise, tmp_path / "a.h5", progress=note)
    with h5py.File(tmp_path / "a.h5") as hdf5:
        dataset = hdf5["stack"]
        assert dataset.chunks[0] > noise.shape_block[0]
        assert dataset.id.get_num_chunks() == np.prod(
            [-(-n // c) for n, c in zip(dataset.shape, dataset.chunks, strict=True)]
        )
        stored = sum(dataset.id.get_chunk_info(n).size for n in range(dataset.id.get_num_chunks()))
    assert (tmp_path / "a.h5").stat().st_size < stored + 64_000
    np.testing.assert_array_equal(read(tmp_path / "a.h5"), SplitDataset(noise.root)[...])


def test_npy_is_not_written_through_a_map(noise, tmp_path, monkeypatch):
    """On a full disk that ends the process by a signal."""

    def mapped(*_, **__):
        raise AssertionError("a map of the file")

    monkeypatch.setattr(np, "memmap", mapped)
    found = np.load(export_array(noise, tmp_path / "a.npy"))
    np.testing.assert_array_equal(found, noise[...])


def test_nothing_is_left_where_others_write_on_after_an_error(tmp_path):
    place, threads = tmp_path / "a.zarr", []

    def write_on(folder):
        for number in range(40):
            folder.mkdir(exist_ok=True)
            (folder / str(number)).write_text("")
            time.sleep(0.005)

    with pytest.raises(RuntimeError), arrays._made(place) as temporary:
        threads.append(threading.Thread(target=write_on, args=[temporary]))
        threads[0].start()
        while not temporary.exists():
            time.sleep(0.001)
        raise RuntimeError
    threads[0].join()
    assert not [*tmp_path.iterdir()]
