"""A second reader, written from docs/spec/split-v1.md alone: h5py, and the tail byte by byte."""

import json
import struct
from itertools import pairwise

import google_crc32c
import h5py
import numcodecs
import numpy as np
import pytest

from haversack.split import FrameWriter, SplitDataset, save_to_split_dataset


def read_with_h5py(folder):
    """Join the blocks of an array without haversack."""
    about = json.loads((folder / "stack_metadata.json").read_text())
    full, size = about["shape_full"], about["shape_block"]
    grid = [-(-n // b) for n, b in zip(full, size, strict=True)]
    result = np.empty(full, about["haversack"]["dtype"])
    for number, cell in enumerate(np.ndindex(*grid)):
        with h5py.File(folder / f"{number:04d}.h5") as hdf5:
            block = read_block(hdf5[f"stack_{len(full)}D"], result.dtype)
        start = [i * b for i, b in zip(cell, size, strict=True)]
        owned = tuple(map(slice, size))
        place = tuple(slice(s, s + b) for s, b in zip(start, size, strict=True))
        result[place] = block[owned]
    return result


def read_block(dataset, dtype):
    block = np.empty(dataset.shape, dtype)
    for chunk in dataset.iter_chunks():
        start = tuple(part.start for part in chunk)
        _, stored = dataset.id.read_direct_chunk(start)
        whole = np.frombuffer(numcodecs.Blosc().decode(stored), dtype).reshape(dataset.chunks)
        block[chunk] = whole[tuple(slice(part.stop - part.start) for part in chunk)]
    return block


@pytest.mark.parametrize("compression", ["blosc", "zstd", "zlib", None])
@pytest.mark.parametrize("dtype", [">i2", "?", "f8"])
def test_h5py_reads_the_same(tmp_path, volumes, dtype, compression):
    data = (volumes % 2).astype(dtype)
    size, padding = (4, 2, 30, None), (1, 0, 3, 0)
    save_to_split_dataset(data, tmp_path / "a", size, padding=padding, compression=compression)
    np.testing.assert_array_equal(read_with_h5py(tmp_path / "a"), data)


def test_the_tail_is_as_the_specification_says(tmp_path, volumes):
    saved = save_to_split_dataset(volumes // 9, tmp_path / "a", (9, None, 30, None))
    path = saved.root / "0002.h5"
    data = path.read_bytes()
    head_size, chunks, pieces, version, crc, magic = struct.unpack("<IIIII8s", data[-28:])
    assert (version, magic) == (1, b"\x89HVBLK\r\n")
    size = head_size + 28 * chunks + 8 * pieces + 28
    tail = data[-size:]
    assert google_crc32c.value(tail[:-12]) == crc
    head = json.loads(tail[:head_size])
    assert (head["block"], head["shape"], head["dtype"]) == (2, [2, 3, 30, 37], "<u2")
    assert head["hdf5_size"] + size == len(data)
    assert google_crc32c.value(data[: head["hdf5_size"]]) == head["hdf5_crc32c"]
    blosc_blocks = list(struct.iter_unpack("<II", tail[head_size + 28 * chunks : -28]))
    with h5py.File(path) as hdf5:
        dataset = hdf5["stack_4D"]
        assert list(dataset.chunks) == head["chunk_shape"]
        for number, part in enumerate(dataset.iter_chunks()):
            entry = tail[head_size + 28 * number :][:28]
            nbytes, blocksize, stored, offset, first = struct.unpack("<IIIQI", entry[4:])
            start = tuple(axis.start for axis in part)
            chunk = data[offset : offset + stored]
            assert dataset.id.read_direct_chunk(start)[1] == chunk
            assert chunk[:16] == entry[:16]
            count = -(-nbytes // blocksize)
            assert not chunk[2] & 0x2, "compressed, so that there is a table"
            offsets = struct.unpack_from(f"<{count}I", chunk, 16)
            for block, (begin, end) in enumerate(pairwise([*offsets, stored])):
                wanted = (begin, google_crc32c.value(chunk[begin:end]))
                assert blosc_blocks[first + block] == wanted


def test_a_journal_is_as_the_specification_says(tmp_path, volumes):
    writer = FrameWriter(tmp_path / "live", block_size=(8, None, 30, None))
    writer.append(volumes[0])
    writer.extend(volumes[1:4])
    about = json.loads((tmp_path / "live" / "stack_metadata.json").read_text())
    assert (about["shape_full"], about["shape_block"]) == ([0, 3, 41, 37], [8, 3, 30, 37])
    assert about["haversack"]["growable"] is True
    data = (tmp_path / "live" / "frames-000000.journal").read_bytes()
    magic, version, first, array, _, crc = struct.unpack_from("<8sIQ16s16sI", data)
    assert (magic, version, first) == (b"\x89HVJRN\r\n", 1, 0)
    assert array.hex() == about["haversack"]["array"]
    assert google_crc32c.value(data[:52]) == crc
    at, rows = 56, np.zeros((4, 3, 41, 37), "<u2")
    for row in range(4):
        for block, (start, end) in enumerate([(0, 30), (30, 41)]):
            head = struct.unpack_from("<IIQQIII", data, at)
            mark, place, number, since, size, payload_crc, own = head
            assert (mark, place, number, since) == (0x52465648, block, row, min(row, 1))
            assert google_crc32c.value(data[at : at + 32]) == own
            payload = data[at + 36 : at + 36 + size]
            assert google_crc32c.value(payload) == payload_crc
            part = np.frombuffer(numcodecs.Blosc().decode(payload), "<u2")
            rows[row, :, start:end] = part.reshape(3, end - start, 37)
            at += 36 + size
    assert at == len(data)
    np.testing.assert_array_equal(rows, volumes[:4])
    writer.close()
    np.testing.assert_array_equal(SplitDataset(tmp_path / "live"), volumes[:4])
