"""Damage is found and named: right data or a clear error, never wrong data."""

import shutil

import msgspec
import numpy as np
import pytest

from haversack.errors import FormatError, HaversackError, IntegrityError, NewerFormatError
from haversack.packed import PackWriter, open_packed, pack
from haversack.packed.manifests.manifest import encode
from haversack.storage.checksum import crc32c

from . import second_reader
from .conftest import same, small_records


def read_all(path):
    """Every array, key and metadata of a dataset, by every way in."""
    ds = open_packed(path)
    arrays = [record.data for record in ds]
    taken = ds.take(range(len(ds)))
    assert all(map(same, taken, arrays))
    found = [ds.record(key).data for key in filter(None, ds.keys())]
    metadata = [record.metadata for record in ds]
    chosen = len(ds.filter("n >= 0"))
    return [array.tobytes() for array in arrays], ds.keys(), metadata, len(found), chosen


@pytest.fixture(params=["mixed", "uniform", "encoded"])
def closed(request, tmp_path):
    codec = "blosc-zstd" if request.param == "encoded" else "none"
    with PackWriter(tmp_path / "ds", codec=codec) as writer:
        for key, array, metadata in small_records():
            alike = np.full((2, 3), metadata["n"], ">i2")
            writer.append(alike if request.param == "uniform" else array, metadata, key=key)
    return tmp_path / "ds"


def files(path):
    return sorted(p for p in path.rglob("*") if p.is_file())


def positions(size, step):
    """Every byte of the ends, where the structures are, and some of the middle."""
    return sorted({*range(0, size, step), *range(max(0, size - 300), size, max(1, step // 8))})


def check_flips(path, step):
    expected = read_all(path)
    wrong = []
    for file in files(path):
        data = file.read_bytes()
        for at in positions(len(data), step):
            changed = bytearray(data)
            changed[at] ^= 1 << (at % 8)
            file.write_bytes(changed)
            try:
                if read_all(path) != expected:
                    wrong.append((file.name, at))
            except HaversackError as error:
                assert file.name in str(error) or file.parent.name == "manifest", error  # noqa: PT017
        file.write_bytes(data)
    assert wrong == []


def test_a_flipped_byte_gives_right_data_or_a_named_error(closed):
    check_flips(closed, 97)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_each_flipped_byte_gives_right_data_or_a_named_error(closed):
    check_flips(closed, 1)


def test_a_file_of_any_shorter_length_is_an_error(closed):
    expected = read_all(closed)
    for file in files(closed):
        data = file.read_bytes()
        for size in {*range(0, len(data), max(1, len(data) // 25)), len(data) - 1}:
            file.write_bytes(data[:size])
            with pytest.raises(HaversackError):
                read_all(closed)
        file.write_bytes(data + b"more")
        with pytest.raises(HaversackError):
            read_all(closed)
        file.write_bytes(data)
    assert read_all(closed) == expected


def test_a_damaged_record_is_named_by_row_and_key_and_the_others_read(tmp_path):
    with PackWriter(tmp_path / "ds") as writer:
        for number in range(4):
            writer.append(np.full(8, number, "u1"), key=f"k{number}")
    (path,) = (tmp_path / "ds/chunks").iterdir()
    data = bytearray(path.read_bytes())
    data[4096 + 8 * 2] ^= 1
    path.write_bytes(data)
    ds = open_packed(tmp_path / "ds")
    for read in (lambda: ds[2], lambda: ds.record("k2"), lambda: ds.take([0, 2])):
        with pytest.raises(IntegrityError, match=r"record 2 \(key 'k2'\)") as caught:
            read()
        assert str(path) in str(caught.value)
    assert ds.take([0, 1, 3])[:, 0].tolist() == [0, 1, 3]
    (damage,) = ds.verify()
    assert (damage.path, damage.where) == (path, "record 2 (key 'k2')")


def test_a_missing_chunk_is_named_and_the_others_read(tmp_path):
    items = [(np.full(4, n), {"n": n}) for n in range(5)]
    ds = pack(items, tmp_path / "ds", chunk_bytes=32, key="n")
    lost = tmp_path / "ds/chunks" / f"{ds.manifest.chunks[2].id}.chunk"
    lost.unlink()
    ds = open_packed(tmp_path / "ds")
    with pytest.raises(IntegrityError, match="is missing") as caught:
        ds[2]
    assert lost.name in str(caught.value)
    assert ds.take([0, 1, 3, 4])[:, 0].tolist() == [0, 1, 3, 4]
    assert ds.record(4).data.tolist() == [4] * 4
    with pytest.raises(IntegrityError, match="is missing"):
        ds.get(2)
    assert [damage.path for damage in ds.verify()] == [lost]


def test_swapped_files_are_found_out(tmp_path):
    items = [(np.full(4, n), {"n": n}) for n in range(2)]
    ds = pack(items, tmp_path / "ds", chunk_bytes=32)
    for folder, suffix in (("chunks", "chunk"), ("index", "parquet")):
        first, second = (
            tmp_path / "ds" / folder / f"{entry.id}.{suffix}" for entry in ds.manifest.chunks
        )
        shutil.copy(first, tmp_path / "kept")
        shutil.copy(second, first)
        found = open_packed(tmp_path / "ds")
        with pytest.raises(FormatError, match=first.name):
            found[0].metadata  # noqa: B018
        assert found[1].data.tolist() == [1] * 4
        assert len(found.verify()) == 1
        shutil.copy(tmp_path / "kept", first)
    assert open_packed(tmp_path / "ds").verify() == []


@pytest.mark.parametrize("suffix", ["parquet", "del"])
def test_a_missing_or_stale_index_file_is_named_and_arrays_still_read(tmp_path, suffix):
    items = [(np.full(4, n), {"n": n}) for n in range(4)]
    pack(items, tmp_path / "ds", key="n")
    with PackWriter(tmp_path / "ds") as writer:
        writer.delete(1)
    (first,) = (tmp_path / "ds/index").glob(f"*.{suffix}")
    kept = first.read_bytes()
    with PackWriter(tmp_path / "ds") as writer:
        writer.delete(2)
    expected = read_all(tmp_path / "ds")
    (path,) = {*(tmp_path / "ds/index").glob(f"*.{suffix}")} - (
        {first} if suffix == "del" else set()
    )
    whole = path.read_bytes()
    stale = kept if suffix == "del" else pack_alike(tmp_path, items)
    for content in (None, stale):
        path.unlink()
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(HaversackError, match=path.name):
            read_all(tmp_path / "ds")
        path.write_bytes(whole)
        assert read_all(tmp_path / "ds") == expected


def pack_alike(tmp_path, items):
    """The index file of a dataset of the same records and other metadata."""
    pack([(array, {"n": -n}) for n, (array, _) in enumerate(items)], tmp_path / "other", key="n")
    (path,) = (tmp_path / "other/index").iterdir()
    return path.read_bytes()


def test_a_newer_format_says_so(small):
    manifest = open_packed(small).manifest
    text = encode(manifest).replace(b'"format":1', b'"format":2')
    text = b'{"crc32c":"%08x",' % crc32c(text[21:]) + text[21:]
    (small / "manifest/00000001.json").write_bytes(text)
    with pytest.raises(NewerFormatError, match="format 2"):
        open_packed(small)


def test_verify_finds_every_flipped_byte_or_it_is_harmless(closed):
    expected = read_all(closed)
    (path,) = (closed / "chunks").iterdir()
    data, unfound = path.read_bytes(), []
    for at in positions(len(data), 41):
        changed = bytearray(data)
        changed[at] ^= 1 << (at % 8)
        path.write_bytes(changed)
        if not open_packed(closed).verify():
            unfound.append(at)
            assert read_all(closed) == expected
    assert unfound == []


def test_damage_in_one_place_leaves_the_rest_of_a_chunk_readable(tmp_path):
    rng = np.random.default_rng(0)
    arrays = [rng.integers(0, 256, 3 + n % 5, "u1") for n in range(30_000)]
    ds = pack([(array, {}) for array in arrays], tmp_path / "ds")
    (path,) = (tmp_path / "ds/chunks").iterdir()
    sections = second_reader.Chunk(tmp_path / "ds", msgspec.to_builtins(ds.manifest.chunks[0]))
    where = {name: span["offset"] for name, span in sections.footer["sections"].items()}
    data = path.read_bytes()

    def damaged(at):
        changed = bytearray(data)
        changed[at] ^= 1
        path.write_bytes(changed)
        found, lost = open_packed(tmp_path / "ds"), []
        for row, array in enumerate(arrays):
            try:
                assert same(found[row].data, array)
            except IntegrityError:
                lost.append(row)
        return lost, [damage.where for damage in found.verify()]

    assert damaged(4096) == ([0], ["record 0"])
    assert damaged(where["crc"]) == ([], [""])
    lost, named = damaged(where["offset"] + 8 * 20_000)
    assert lost == list(range(16384, 24576))
    assert named == ["records 16384 to 24575"]


def test_the_good_records_of_a_bad_block_are_taken_together(tmp_path):
    with PackWriter(tmp_path / "ds") as writer:
        for number in range(100):
            writer.append(np.full(8, number, "u1"))
    (path,) = (tmp_path / "ds/chunks").iterdir()
    data = bytearray(path.read_bytes())
    data[4096 + 8 * 50] ^= 1
    path.write_bytes(data)
    ds = open_packed(tmp_path / "ds")
    good = [*range(50), *range(51, 100)]
    for _ in range(3):
        assert ds.take(good)[:, 0].tolist() == good
        with pytest.raises(IntegrityError, match="record 50"):
            ds.take(range(100))


def test_verify_of_a_whole_dataset_finds_nothing_and_reports_progress(small):
    events = []
    assert open_packed(small).verify(events.append) == []
    assert events[-1].done == events[-1].total > 0


def test_an_index_file_that_goes_after_it_was_checked_is_told_as_missing(small):
    ds = open_packed(small)
    assert len(ds.metadata()) == 12
    for path in (small / "index").iterdir():
        path.unlink()
    with pytest.raises(IntegrityError, match=r"parquet is missing: its 12 records are lost"):
        ds.metadata()
