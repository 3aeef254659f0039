"""Damaged arrays give a precise error or right data, never wrong data."""

import json
from dataclasses import replace

import numpy as np
import pytest

from haversack.errors import FormatError, HaversackError, IntegrityError, NewerFormatError
from haversack.split import SplitDataset, save_to_split_dataset
from haversack.split.chunks.chunk import StoredChunk
from haversack.split.chunks.codec import coding_named, encode
from haversack.split.directory.metadata import METADATA, block_name, metadata_document, read_stack
from haversack.storage.damage import Damage


@pytest.fixture
def small(tmp_path):
    """Two blocks of two chunks or so, and what they hold."""
    array = (np.arange(2 * 3 * 400) % 251).astype("uint8").reshape(6, 400)
    return save_to_split_dataset(array, tmp_path / "small", (3, None)).root, array


def read(folder):
    """All the data, or the error."""
    try:
        return SplitDataset(folder)[...]
    except HaversackError as error:
        return error


def test_every_flipped_byte_is_told_or_harmless(small):
    folder, array = small
    told = 0
    for path in (folder / "stack_metadata.json", folder / "0001.h5"):
        good = path.read_bytes()
        for place in range(len(good)):
            path.write_bytes(good[:place] + bytes([good[place] ^ 0x41]) + good[place + 1 :])
            found = read(folder)
            if isinstance(found, HaversackError):
                assert str(folder) in str(found)
                told += 1
            else:
                np.testing.assert_array_equal(found, array)
        path.write_bytes(good)
    assert told > 1000


def test_verify_finds_every_flipped_byte_of_a_block(small):
    folder, _ = small
    path = folder / "0001.h5"
    good = path.read_bytes()
    dataset = SplitDataset(folder)
    for place in range(0, len(good), 7):
        path.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
        damages = dataset.verify()
        assert damages, f"byte {place}"
        assert damages[0].path == path
    path.write_bytes(good)
    assert dataset.verify() == []


def test_every_length_of_a_cut_block_is_told(small):
    folder, _ = small
    path = folder / "0000.h5"
    good = path.read_bytes()
    for length in range(0, len(good), 11):
        path.write_bytes(good[:length])
        assert isinstance(read(folder), HaversackError), length


def test_a_flipped_bit_names_file_chunk_and_elements(saved, volumes):
    path = saved.root / "0001.h5"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(
        IntegrityError,
        match=r"0001.h5: the chunk that holds \[\d.*:41, 0:37\] is damaged: .*match",
    ):
        SplitDataset(saved.root)[...]
    # What lies in other chunks still reads.
    np.testing.assert_array_equal(saved[:, :, :30], volumes[:, :, :30])
    (damage,) = SplitDataset(saved.root).verify()
    assert damage.path == path
    assert damage.where.startswith("chunk at [")
    assert damage.where.endswith(":41, 0:37]")  # as an index into the array, not the block


def test_a_missing_block_is_named_with_what_it_held(saved, volumes):
    (saved.root / "0001.h5").unlink()
    found = SplitDataset(saved.root)
    with pytest.raises(FormatError, match=r"0001.h5 is missing: block 1 of 4, .*0:9, 0:3, 30:41"):
        found[0]
    np.testing.assert_array_equal(found[9:], volumes[9:])
    assert found.verify() == [
        Damage(saved.root / "0001.h5", "block 1", str(found.verify()[0].what)),
    ]


def test_swapped_blocks_are_found(saved):
    first, second = saved.root / "0000.h5", saved.root / "0001.h5"
    spare = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(spare)
    with pytest.raises(FormatError, match="block number is 1, not 0"):
        SplitDataset(saved.root)[0]


def test_a_block_of_another_array_is_found(tmp_path, saved, volumes):
    other = save_to_split_dataset(volumes, tmp_path / "other", block_size=(9, None, 30, None))
    (saved.root / "0000.h5").write_bytes((other.root / "0000.h5").read_bytes())
    with pytest.raises(FormatError, match="does not belong here: its array is"):
        SplitDataset(saved.root)[0]


def test_a_newer_format_says_upgrade(saved):
    path = saved.root / "stack_metadata.json"
    about = json.loads(path.read_text())
    about["haversack"]["format"] = 9
    path.write_text(json.dumps(about))
    with pytest.raises(NewerFormatError, match="written by format 9, this haversack reads up to 1"):
        SplitDataset(saved.root)


def test_losing_our_part_of_the_metadata_is_found(saved):
    path = saved.root / "stack_metadata.json"
    about = json.loads(path.read_text())
    del about["haversack"]
    path.write_text(json.dumps(about))
    with pytest.raises(FormatError, match="does not say that haversack wrote"):
        SplitDataset(saved.root)[0]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        "{}",
        '{"shape_full": [4], "shape_block": [0]}',
        '{"shape_full": [4, 4], "shape_block": [2, 2, 2]}',
        '{"shape_full": [-1], "shape_block": [2]}',
        '{"shape_full": [1e30], "shape_block": [1]}',
        '{"shape_full": [4000000000000], "shape_block": [1]}',
        '{"shape_full": "four", "shape_block": [1]}',
        '{"shape_full": [4], "shape_block": "fine"}',
        "[" * 100_000,
    ],
)
def test_metadata_that_makes_no_sense_is_refused(tmp_path, text):
    (tmp_path / "stack_metadata.json").write_text(text)
    with pytest.raises(FormatError, match=r"stack_metadata\.json"):
        SplitDataset(tmp_path)


def test_lying_chunk_headers_are_refused_before_decoding():
    data = np.arange(30_000, dtype="uint16")
    good = encode(data, coding_named("blosc"), 1 << 16)
    for place in range(StoredChunk(good).header.body):
        for bit in range(8):
            bad = bytearray(good)
            bad[place] ^= 1 << bit
            try:
                StoredChunk(bytes(bad)).decode(data.dtype, data.shape)
            except FormatError:
                continue


def test_blocks_that_are_only_claimed_are_missed_before_they_are_planned_for(tmp_path):
    save_to_split_dataset(np.zeros((2, 6), "u1"), tmp_path / "array", (1, None))
    stack = read_stack(tmp_path / "array", "")
    claimed = metadata_document(replace(stack, shape=(4_000_000, 6)))
    (tmp_path / "array" / METADATA).write_bytes(claimed)
    for number in range(2):
        (tmp_path / "array" / f"{number:04}.h5").rename(
            tmp_path / "array" / block_name(number, 4_000_000, growable=False)
        )
    dataset = SplitDataset(tmp_path / "array")
    assert dataset[1].tolist() == [0] * 6
    for read in (
        lambda: dataset[:, 2],
        lambda: dataset[::7, 2:4],
        lambda: dataset.read_many([0, (slice(1, None, 2), 3)]),
        dataset.view[..., 1].max,
    ):
        with pytest.raises(FormatError, match="is missing: block 399999"):
            read()
