"""A second reader, written from docs/spec/split-v1.md alone: h5py, and the tail byte by byte."""

import json
import struct
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from itertools import pairwise

import google_crc32c
import h5py
import numcodecs
import numpy as np
import pytest

from haversack.errors import FormatError
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


def canonical(value):
    """Write JSON as the page says, without Python's own writer of JSON or of floats."""
    if isinstance(value, dict):
        items = [f"{canonical(key)}:{canonical(value[key])}" for key in sorted(value)]
        return "{" + ",".join(items) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    if isinstance(value, str):
        return '"' + "".join(map(escaped, value)) + '"'
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value) if isinstance(value, int) else double(value)


def escaped(character):
    short = dict(zip('"\\\b\f\n\r\t', '"\\bfnrt', strict=True))
    if character in short:
        return "\\" + short[character]
    if " " <= character <= "~":
        return character
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def last(number):
    return number.as_tuple().digits[-1]


def double(value):
    exact = Decimal(value)
    for places in range(1, 18):
        rounded = [Context(places, way).plus(exact) for way in (ROUND_FLOOR, ROUND_CEILING)]
        same = [each for each in rounded if float(each) == value]
        if same:
            break
    best = min(same, key=lambda each: (abs(Context(1500).subtract(each, exact)), last(each) % 2))
    best = best.normalize()
    sign, power = "-" if best.is_signed() else "", best.adjusted()
    digits = "".join(map(str, best.as_tuple().digits))
    if value and not -4 <= power < 16:
        point = "." if digits[1:] else ""
        return f"{sign}{digits[0]}{point}{digits[1:]}e{'-' if power < 0 else '+'}{abs(power):02d}"
    digits = "0" * -power + digits + "0" * (power + 1 - len(digits))
    at = max(power, 0) + 1
    return f"{sign}{digits[:at]}.{digits[at:] or '0'}"


ODD = {
    "numbers": [0, -1, 10**30, 0.0, -0.0, 1.0, 0.1, 1e22, 1e16, 1e15, 123456789012345680.0, 1e-4],
    "more": [
        9.9e-5,
        2.5e-7,
        5e-324,
        1.7976931348623157e308,
        1e100,
        -1e-100,
        1 / 3,
        2**-44,
        993246814054032.75,
    ],
    'texts \x7f\x00/"\\': ["\b\f\n\r\t\x1b", "é\u2028µ", "😀"],
    "keys": {"\ufffd": 1, "😀": 2, "a": None, "B": True, "": False},
}


def test_the_checksum_of_the_metadata_is_of_the_text_that_the_page_says(tmp_path):
    numbers = np.random.default_rng(3).integers(0, 1 << 63, 3000).view("f8")
    odd = {**ODD, "drawn": numbers[np.isfinite(numbers)].tolist()}
    resolution = (1e22, 1e-7, 0.6)
    save_to_split_dataset(
        np.ones((2, 3, 4)), tmp_path / "a", resolution=resolution, units="µm", metadata=odd
    )
    document = json.loads((tmp_path / "a" / "stack_metadata.json").read_text())
    told = document["haversack"].pop("crc32c")
    assert document["haversack"]["metadata"]["numbers"] == ODD["numbers"]
    assert f"{google_crc32c.value(canonical(document).encode()):08x}" == told


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-1e400"])
def test_metadata_with_what_is_no_number_is_refused(tmp_path, number):
    save_to_split_dataset(np.ones((2, 3)), tmp_path / "a", resolution=(1, 0.5))
    path = tmp_path / "a" / "stack_metadata.json"
    document = json.loads(path.read_text().replace("0.5", number))
    del document["haversack"]["crc32c"]
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    document["haversack"]["crc32c"] = f"{google_crc32c.value(text.encode()):08x}"
    path.write_text(json.dumps(document))
    with pytest.raises(FormatError, match="stack_metadata.json"):
        SplitDataset(path.parent)
