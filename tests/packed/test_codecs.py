"""Each record has the codec that was asked for, or by ``auto`` the one that its like gain by."""

import tempfile
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haversack.errors import FormatError, KeyExistsError, UsageError
from haversack.packed import PackWriter, open_packed, pack
from haversack.packed.encoding import auto
from haversack.packed.encoding.codecs import canonical, codec, decoder

from .conftest import same
from .pictures import PNG

LZ4, ZSTD = "blosc-lz4-bitshuffle-5", "blosc-zstd-shuffle-1"


def codecs_of(path):
    """The codec of each record, in order, as the chunks have them."""
    chunks = open_packed(path)._snapshot.chunks()
    return [chunk.kind_of(row).codec for chunk in chunks for row in range(chunk.rows)]


def noise(count, shape, dtype="u2", bits=16, seed=0):
    """Arrays of random numbers of so many bits: the fewer they are, the more is gained."""
    high = 1 << bits
    return list(np.random.default_rng(seed).integers(0, high, (count, *shape)).astype(dtype))


# Names.


@pytest.mark.parametrize("name", ["mp3", "", "zstd-0", "zstd-20", "BLOSC", None, 3, ["zstd"]])
def test_a_codec_that_does_not_exist_is_refused_at_once(tmp_path, name):
    with pytest.raises(UsageError, match="no codec"):
        PackWriter(tmp_path / "ds", codec=name)
    assert not (tmp_path / "ds").exists()


@pytest.mark.parametrize("name", ["zstd", "gzip", "blosc-lz4", "blosc-zstd-shuffle"])
def test_a_reader_needs_no_more_than_the_family(name):
    data = np.arange(100, dtype="u2")
    out = np.empty(100, "u2")
    payload = np.frombuffer(codec(canonical(name)).encode(data.view("u1"), 2), "u1")
    decoder(name).decode_into(payload, out)
    assert same(out, data)


def test_a_family_that_does_not_exist_is_no_codec_of_a_file():
    for name in ("none", "auto", "zstd-99", "blosc", "brotli"):
        with pytest.raises(FormatError, match="does not know"):
            decoder(name)


# A codec for each record.


def test_a_function_gives_each_record_its_codec(tmp_path):
    def choose(array):
        return "zstd" if array.dtype == "u1" else "none"

    images, masks = noise(5, (8, 8)), noise(5, (8, 8), "u1", 2)
    records = [array for pair in zip(images, masks, strict=True) for array in pair]
    ds = pack(records, tmp_path / "ds", codec=choose)
    assert codecs_of(tmp_path / "ds") == ["none", "zstd-3"] * 5
    assert all(same(ds[n].data, record) for n, record in enumerate(records))
    assert not any(record.data.flags.writeable for record in ds)


def test_records_of_one_shape_stack_whatever_their_codecs(tmp_path):
    records = noise(6, (5, 5), bits=3)
    names = iter(["none", "zstd", "gzip", "blosc-lz4", "none", "zstd-1"])
    ds = pack(records, tmp_path / "ds", codec=lambda _: next(names))
    assert same(ds.take([3, 0, 5, 1]), np.stack(records)[[3, 0, 5, 1]])


@pytest.mark.parametrize("answer", ["mp3", None, "auto", "png", ["zstd"]])
def test_a_function_that_gives_no_codec_loses_nothing(tmp_path, answer):
    with PackWriter(tmp_path / "ds", codec=lambda a: answer if a.size > 2 else "none") as writer:
        writer.append([1], key="a")
        with pytest.raises(UsageError, match="codec"):
            writer.append([1, 2, 3], key="b")
        writer.append([2], key="b")
    assert open_packed(tmp_path / "ds").keys() == ["a", "b"]


# auto.


def test_what_does_not_shrink_stays_raw_and_uniform(tmp_path):
    records = noise(200, (32, 32))
    ds = pack(records, tmp_path / "ds", codec="auto")
    assert ds.manifest.chunks[0].shape == [32, 32]
    assert same(ds.take(range(200)), np.stack(records))
    assert ds.info()["codecs"] == "none"


@pytest.mark.parametrize("count", [1, 10, 63, 64, 65, 200])
def test_what_shrinks_is_encoded_from_the_first_record_on(tmp_path, count):
    records = noise(count, (32, 32), bits=8)
    ds = pack(records, tmp_path / "ds", codec="auto")
    assert codecs_of(tmp_path / "ds") == [LZ4] * count
    assert same(ds.take(range(count)), np.stack(records))
    assert ds.info()["codecs"] == LZ4


@pytest.mark.parametrize(("bits", "expected"), [(15, "none"), (14, "none"), (13, LZ4)])
def test_less_than_fifteen_percent_is_no_gain(tmp_path, bits, expected):
    pack(noise(64, (64, 64), bits=bits), tmp_path / "ds", codec="auto")
    assert set(codecs_of(tmp_path / "ds")) == {expected}


def test_a_slower_codec_must_gain_as_much_again(tmp_path):
    repeated = [np.tile(array, 64) for array in noise(70, (64,), bits=16)]
    pack(repeated, tmp_path / "ds", codec="auto")
    found = set(codecs_of(tmp_path / "ds"))
    assert found <= {LZ4, ZSTD}
    assert "none" not in found


@pytest.mark.parametrize(("bits", "expected"), [(4, "none"), (0, "zstd-1")])
def test_small_records_stay_raw_unless_they_gain_much(tmp_path, bits, expected):
    pack(noise(70, (28, 28), "u1", bits), tmp_path / "ds", codec="auto")
    assert set(codecs_of(tmp_path / "ds")) == {expected}


def test_image_and_mask_each_have_their_own(tmp_path):
    images, masks = noise(100, (32, 32)), noise(100, (32, 32), "u1", 1)
    records = [array for pair in zip(images, masks, strict=True) for array in pair]
    ds = pack(records, tmp_path / "ds", codec="auto")
    found = codecs_of(tmp_path / "ds")
    assert set(found[::2]) == {"none"}
    assert len(set(found[1::2])) == 1
    assert "none" not in found[1::2]
    assert all(same(record.data, array) for record, array in zip(ds, records, strict=True))


def test_a_sort_that_comes_late_is_decided_then(tmp_path):
    late = noise(10, (64, 64), "f4", 3)
    pack([*noise(100, (32, 32)), *late], tmp_path / "ds", codec="auto")
    found = codecs_of(tmp_path / "ds")
    assert set(found[:100]) == {"none"}
    assert set(found[100:]) == {LZ4}


@pytest.mark.parametrize("workers", [1, 3])
def test_the_same_input_gives_the_same_chunk(tmp_path, workers):
    records = [*noise(90, (40, 40), bits=9), *noise(90, (7,), "f8", 2), *noise(9, (9, 9), bits=1)]
    order = np.random.default_rng(1).permutation(len(records)).tolist()
    for name in ("a", "b"):
        pack(order, tmp_path / name, read=records.__getitem__, workers=workers, codec="auto")
    first, second = (next((tmp_path / name / "chunks").iterdir()) for name in ("a", "b"))
    assert codecs_of(tmp_path / "a") == codecs_of(tmp_path / "b")
    assert first.stat().st_size == second.stat().st_size
    assert first.read_bytes()[4096:-200] == second.read_bytes()[4096:-200]


def test_arrays_may_change_once_they_are_appended(tmp_path):
    array, expected = np.zeros((16, 16), "u2"), []
    with PackWriter(tmp_path / "ds", codec="auto") as writer:
        for number in range(30):
            array[:] = number
            expected.append(array.copy())
            writer.append(array)
    assert same(open_packed(tmp_path / "ds").take(range(30)), np.stack(expected))


def test_images_keep_their_place_among_records_that_wait(tmp_path):
    records = [PNG, *noise(5, (32, 32), bits=2), PNG, np.zeros((0, 3)), *noise(2, (9,), "u1")]
    ds = pack(records, tmp_path / "ds", codec="auto")
    assert [record.encoded for record in ds] == [PNG, *[None] * 5, PNG, None, None, None]
    assert all(same(ds[n].data, records[n]) for n in (1, 5, 7, 8, 9))


def test_little_is_held_back(tmp_path):
    small = np.zeros(2, "u1")
    with PackWriter(tmp_path / "ds", codec="auto") as writer:
        writer.append(np.zeros((500, 500)))
        tracemalloc.start()
        for number in range(40):
            writer.append(np.full((500, 500), number, "f8"))
            for _ in range(500):
                writer.append(small, n=None)
        draft = writer._committer._change._draft
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert draft is not None
        assert draft.rows == 1 + 40 * 501
        # The metadata of twenty thousand records takes a share of it.
        assert peak < 24 << 20


def test_a_key_is_known_while_its_record_waits(tmp_path):
    with PackWriter(tmp_path / "ds", codec="auto") as writer:
        writer.append(np.zeros((9, 9)), key="a")
        with pytest.raises(KeyExistsError):
            writer.append(np.zeros((9, 9)), key="a")
        writer.delete("a")
        writer.append(np.ones((9, 9)), key="a")
        writer.put(np.full((9, 9), 2.0), key="a")
    (record,) = open_packed(tmp_path / "ds")
    assert record.key == "a"
    assert record.data[0, 0] == 2


def test_what_goes_through_the_journal_is_encoded_too(tmp_path):
    first, second = noise(3, (32, 32), bits=4), noise(4, (32, 32), bits=4, seed=1)
    pack(first, tmp_path / "ds", codec="auto")
    with PackWriter(tmp_path / "ds", codec="auto") as writer:
        for array in second:
            writer.append(array)
        writer.flush()
        ds = open_packed(tmp_path / "ds")
        assert ds.manifest.journal is not None
        assert ds.info()["codecs"] == LZ4
        assert same(ds.take(range(7)), np.stack([*first, *second]))
    assert codecs_of(tmp_path / "ds") == [LZ4] * 7


def test_a_large_record_is_tried_in_pieces_and_not_held(tmp_path, monkeypatch):
    tried, compressed = [], auto.compressed

    def count(data, *others):
        tried.append(len(data))
        return compressed(data, *others)

    monkeypatch.setattr(auto, "compressed", count)
    large = np.zeros(3_000_001, "f8")
    with PackWriter(tmp_path / "ds", codec="auto") as writer:
        writer.append(large)
        writer.append(large)
    ds = open_packed(tmp_path / "ds")
    assert tried == [4 << 16, 4 << 16, large.nbytes, large.nbytes]
    assert same(ds[1].data, large)


STEPS = st.tuples(
    st.sampled_from(["append", "put", "delete", "flush"]),
    st.integers(0, 6),  # the key
    st.sampled_from([("u1", (3, 3)), ("u2", (40, 40)), ("f4", (300,)), ("f8", ()), ("u2", (0,))]),
    st.integers(0, 8),  # bits
)


@settings(max_examples=40)
@given(st.lists(STEPS, max_size=60), st.sampled_from([1, 5000, 1 << 30]), st.integers(1, 6))
def test_whatever_waits_order_keys_and_values_are_those_of_a_dict(steps, chunk_bytes, sample):
    model = {}
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(auto, "SAMPLE", sample)
        with PackWriter(f"{folder}/ds", codec="auto", chunk_bytes=chunk_bytes) as writer:
            for number, (op, key, (dtype, shape), bits) in enumerate(steps):
                (array,) = noise(1, shape, dtype, bits, seed=number)
                if op == "flush":
                    writer.flush()
                elif op == "delete":
                    if model.pop(key, None) is not None:
                        writer.delete(key)
                elif op == "put" or key not in model:
                    getattr(writer, op)(array, key=key)
                    model.pop(key, None)
                    model[key] = array
        ds = open_packed(f"{folder}/ds")
        assert ds.keys() == list(model)
        assert all(same(record.data[...], model[record.key]) for record in ds)
        assert ds.verify() == []
