"""Choosing, pickling, forking, refreshing: a dataset is a list of records that stays as it is."""

import copy
import multiprocessing
import os
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from haversack.errors import (
    FormatError,
    PathNotFoundError,
    PositionError,
    RecordNotFoundError,
    UsageError,
    VersionGoneError,
)
from haversack.packed import PackedDataset, PackWriter, is_packed, open_packed, pack

from .conftest import METADATA, same, small_records


@pytest.fixture(scope="module")
def tens(tmp_path_factory):
    return pack(
        (np.full(3, n) for n in range(10)),
        tmp_path_factory.mktemp("packed") / "tens",
        chunk_bytes=99,
    )


def values(ds):
    return [int(record.data[0]) for record in ds]


@given(data=st.data())
def test_selections_of_selections_are_like_numpys(tens, data):
    ds, oracle = tens, np.arange(10)
    for _ in range(data.draw(st.integers(0, 4))):
        size = len(oracle)
        some = st.lists(st.integers(-size, size - 1), max_size=6) if size else st.just([])
        index = data.draw(
            st.slices(size)
            | some
            | some.map(lambda chosen: np.array(chosen, int))
            | st.lists(st.booleans(), min_size=size, max_size=size).map(
                lambda mask: np.array(mask, bool)
            )
        )
        ds, oracle = (
            ds[index],
            oracle[np.array(index, int) if index == [] else index]
            if isinstance(index, list)
            else oracle[index],
        )
        assert isinstance(ds, PackedDataset)
    assert values(ds) == oracle.tolist()
    assert len(ds) == len(oracle)
    if len(oracle):
        at = data.draw(st.integers(-len(oracle), len(oracle) - 1))
        assert int(ds[at].data[0]) == oracle[at]
        assert int(ds[np.int32(at)].data[0]) == oracle[at]
        assert ds.take([at])[0, 0] == oracle[at]
    assert len(pickle.loads(pickle.dumps(ds))) == len(oracle)


@pytest.mark.parametrize("index", [10, -11, [3, 10], [-11]])
def test_an_index_beyond_the_end_is_an_index_error(tens, index):
    with pytest.raises(PositionError, match="10 records") as caught:
        tens[index]
    assert isinstance(caught.value, IndexError)


@pytest.mark.parametrize("index", ["key", 1.5, [1.5], [[1]], (1, 2, "a"), [True], None, {}])
def test_an_index_of_another_kind_says_what_to_use(tens, index):
    with pytest.raises(UsageError):
        tens[index]


def test_records_are_found_by_key(small):
    ds = open_packed(small)
    for key, array, metadata in small_records():
        record = ds.record(key)
        assert same(record.data, array)
        assert record.metadata == metadata
        assert record.key == key
        data, found = ds.get(key)
        assert same(data, array)
        assert found == metadata
        assert key in ds
    assert ds.keys() == [key for key, _, _ in small_records()]
    assert ds.get("other") is None
    assert ds.get("other", 3) == 3
    with pytest.raises(RecordNotFoundError, match="'other'"):
        ds.record("other")


def test_a_selection_finds_only_its_own_keys(small):
    for chosen in (open_packed(small)[2:4], open_packed(small)[[2, 3]]):
        assert chosen.keys() == ["key 2", "key 3"]
        assert "key 2" in chosen
        assert chosen.get("key 4") is None


def test_metadata_is_a_frame_of_the_given_values(small):
    frame = open_packed(small).metadata()
    assert list(frame.columns) == ["_key", *METADATA, "n"]
    assert frame["n"].tolist() == list(range(12))
    assert frame["n"].dtype == "int64"
    assert frame["_key"].tolist() == [key for key, _, _ in small_records()]
    for name, value in METADATA.items():
        assert frame[name].tolist() == [value] * 12
    assert open_packed(small)[[3, 1]].metadata()["n"].tolist() == [3, 1]


def test_what_a_record_lacks_is_none_in_the_frame(tmp_path):
    items = [(0, {"a": 1}), (0, {"b": "007"}), (0, {"a": None}), (0, {})]
    frame = pack(items, tmp_path / "ds").metadata()
    assert frame["a"].tolist() == [1, None, None, None]
    assert frame["b"].tolist() == [None, "007", None, None]
    assert len(pack([], tmp_path / "none").metadata()) == 0


def test_a_pickle_holds_the_place_and_not_the_data(tmp_path):
    ds = pack([np.zeros(1 << 20)] * 3, tmp_path / "ds")
    text = pickle.dumps(ds[[0, 2]])
    assert len(text) < 1000
    assert same(pickle.loads(text).take([1]), ds.take([2]))
    assert len(copy.copy(ds)) == 3


def test_a_pickled_dataset_stays_at_its_version(small):
    ds = open_packed(small)
    text = pickle.dumps(ds)
    with PackWriter(small) as writer:
        writer.append([1.0])
    assert len(pickle.loads(text)) == 12
    for path in (small / "manifest").iterdir():
        path.unlink()
    with pytest.raises(VersionGoneError, match="version 1"):
        pickle.loads(text)


def total(ds):
    return sum(float(np.sum(record.data)) for record in ds), ds.metadata()["n"].sum()


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_other_processes_read_the_same(small, method):
    ds = open_packed(small)
    expected = total(ds)
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.map(total, [ds, ds[:], ds[list(range(12))]]) == [expected] * 3


def test_threads_read_the_same(small):
    ds = open_packed(small)
    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(total, [ds] * 20))) == 1


def test_a_dataset_moves_only_when_refreshed(small):
    ds = open_packed(small)
    with PackWriter(small) as writer:
        writer.append([1.0])
    assert len(ds) == 12
    assert len(ds.refresh()) == 13
    assert ds[12].data.tolist() == [1.0]
    with pytest.raises(UsageError, match="selection"):
        ds[:3].refresh()


def test_opening_what_is_no_dataset_says_so(tmp_path):
    assert not is_packed(tmp_path)
    with pytest.raises(PathNotFoundError, match="nowhere"):
        open_packed(tmp_path / "nowhere")
    with pytest.raises(FormatError, match="not a packed dataset"):
        open_packed(tmp_path)


def test_opening_reads_the_manifest_alone(small):
    for name in ("chunks", "index"):
        os.rename(small / name, small / f"{name}-away")
    assert is_packed(small)
    assert len(open_packed(small)) == 12


def test_info_and_reprs_are_short_and_escaped(tmp_path):
    path = tmp_path / "<b>ds"
    ds = pack([(np.zeros(3), {"<i>": "x"})], path)
    assert ds.info()["records"] == 1
    assert ds.info()["columns"] == {"<i>": "text"}
    assert ds.info()["arrays"] == "float64 [3]"
    assert "1 records" in repr(ds)
    assert "<b>" not in ds._repr_html_()
    assert "<i>" not in ds._repr_html_()
    assert "float64[3]" in repr(ds[0])
    assert len(repr(ds).splitlines()) == 1


def test_many_mapped_chunks_hold_no_open_files(tmp_path):
    ds = pack([np.zeros(8)] * 300, tmp_path / "ds", chunk_bytes=64)
    before = len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0
    assert len(ds.manifest.chunks) == 300
    assert ds.take(range(300)).shape == (300, 8)
    if before:
        assert len(os.listdir("/proc/self/fd")) == before


def test_an_unsigned_index_beyond_64_bits_is_no_record(tens):
    for index in ([2**64 - 1], [2**63], [10]):
        with pytest.raises(PositionError, match=str(index[0])):
            tens.take(np.array(index, "u8"))
    assert tens.take(np.array([9, 0], "u8"))[:, 0].tolist() == [9, 0]


def test_take_fills_only_an_array_that_can_be_written(tens):
    frozen = np.zeros((2, 3), int)
    frozen.flags.writeable = False
    for out in ([[0] * 3] * 2, "out", frozen, np.zeros((2, 4), int), np.zeros((2, 3), "f4")):
        with pytest.raises(UsageError, match="out must be"):
            tens.take([0, 1], out=out)
    assert not frozen.any()


def test_info_lists_the_arrays_of_each_kind(tmp_path):
    with PackWriter(tmp_path / "ds") as writer:
        for count, shape, dtype in ((3, (6, 8), "u2"), (2, (8,), "u1")):
            for _ in range(count):
                writer.append(np.zeros(shape, dtype))
            writer.flush()
    assert open_packed(tmp_path / "ds").info()["arrays"] == "uint16 [6, 8] (3), uint8 [8] (2)"
    encoded = pack([[1]], tmp_path / "encoded", codec="zstd")
    assert encoded.info()["arrays"] == "several dtypes or shapes or encoded"


def test_metadata_named_like_the_key_column_hide_no_key(tmp_path):
    with PackWriter(tmp_path / "ds") as writer:
        writer.append([1], key="a", _key="b")
        writer.append([2], key="b", _key="a")
    ds = open_packed(tmp_path / "ds")
    assert ds.metadata()["_key"].tolist() == ["a", "b"]
    assert ds.record("a").metadata == {"_key": "b"}
