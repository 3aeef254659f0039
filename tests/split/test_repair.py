"""Lost or damaged metadata of an array come back right, or nothing is changed and it says why."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import replace
from multiprocessing import get_context
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.running import run_python

import haversack
from haversack.errors import (
    ExistsError,
    FormatError,
    HaversackError,
    IntegrityError,
    NewerFormatError,
    PathNotFoundError,
    UsageError,
)
from haversack.split import (
    EmptySplitDataset,
    FrameWriter,
    SplitDataset,
    repair,
    save_frames,
    save_to_split_dataset,
)
from haversack.split.directory.growing import LOCK
from haversack.split.directory.journal import journal_name
from haversack.split.directory.metadata import METADATA, checksum_of, read_stack
from haversack.split.upkeep import restoring
from haversack.storage.lock import exclusive

ABOUT: dict[str, Any] = {
    "resolution": (0.5, 2.0),
    "frequency": 20,
    "units": "um",
    "metadata": {"of": "a fly"},
}


def snapshot(folder):
    """Every file with what it holds, but for the lock, which may be left anywhere."""
    return {
        path.relative_to(folder): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


@pytest.fixture
def numbers():
    return np.arange(7 * 6, dtype="i4").reshape(7, 6)


@pytest.fixture
def fixed(tmp_path, numbers):
    """An array of 3 x 2 blocks, with all that can be said of it."""
    return save_to_split_dataset(numbers, tmp_path / "fixed", (3, 4), compression="zstd", **ABOUT)


def grown(folder, numbers, block=(3, 4), **options):
    """An array that grows whose writer was killed: some rows in blocks, some in a journal."""
    program = (
        "import json, os, sys\nimport numpy as np\nfrom haversack.split import FrameWriter\n"
        "folder, data, block, options = sys.argv[1:]\n"
        "writer = FrameWriter(folder, block_size=json.loads(block), **json.loads(options))\n"
        "for row in np.load(data):\n    writer.append(row)\n"
        "if writer._publishing: writer._publishing.result()\n"
        "os._exit(0)\n"
    )
    np.save(folder.with_suffix(".npy"), numbers)
    given = [folder, folder.with_suffix(".npy"), json.dumps(block), json.dumps(options)]
    subprocess.run([sys.executable, "-c", program, *map(str, given)], check=True)
    return folder


@pytest.fixture
def growing(tmp_path, numbers):
    folder = grown(tmp_path / "growing", numbers, **ABOUT)
    assert {"000003.h5", journal_name(2)} <= set(os.listdir(folder))
    return folder


def holds(folder, expected):
    """All elements are there, and those who read and write go on as if nothing had been."""
    found = SplitDataset(folder)
    np.testing.assert_array_equal(found[...], expected)
    assert found.dtype == expected.dtype
    assert found.verify() == []


def goes_on(folder, expected):
    """A next writer sees every frame, and appends behind them."""
    holds(folder, expected)
    with FrameWriter(folder) as writer:
        assert len(writer) == len(expected)
        writer.append(expected[0])
    holds(folder, np.concatenate([expected, expected[:1]]))


def refused(folder, match, error=FormatError, **known):
    """Nothing is repaired, and nothing changed."""
    before = snapshot(folder)
    with pytest.raises(error, match=match) as told:
        repair(folder, **known)
    assert str(folder) in str(told.value)
    assert snapshot(folder) == before


def rewritten(folder, **changes):
    """Damage the metadata beyond what a checksum puts right."""
    document = json.loads((folder / METADATA).read_bytes())
    document["haversack"]["crc32c"] = "?"
    (folder / METADATA).write_text(json.dumps({**document, **changes}))


def flips(data, step):
    """Flip one bit after the other; of each byte one, where not every bit is to be flipped."""
    for place in range(0, len(data) * 8, step):
        byte, bit = divmod(place, 8)
        yield data[:byte] + bytes([data[byte] ^ 1 << bit]) + data[byte + 1 :]


def every_flip_is_undone(folder, expected, step):
    path = folder / METADATA
    good, stack = path.read_bytes(), read_stack(folder)
    told = 0
    for damaged in flips(good, step):
        path.write_bytes(damaged)
        done = repair(folder)
        assert read_stack(folder) == stack
        assert (done.lost, done.shape) == ([], expected.shape)
        assert json.loads(path.read_bytes()) == json.loads(good)
        if done.rebuilt:
            assert done.kept_as is not None
            assert done.kept_as.read_bytes() == damaged
            done.kept_as.unlink()
            told += 1
    assert told > len(good) * 8 // step * 0.8  # a flip between the words may do no harm
    holds(folder, expected)


def test_a_flipped_bit_of_the_metadata_is_put_right(fixed, numbers):
    every_flip_is_undone(fixed.root, numbers, 97)


def test_a_flipped_bit_of_the_metadata_of_a_growing_array_is_put_right(growing, numbers):
    every_flip_is_undone(growing, numbers, 97)
    goes_on(growing, numbers)


@pytest.mark.slow
def test_every_flipped_bit_of_the_metadata_is_put_right(fixed, growing, numbers):
    every_flip_is_undone(fixed.root, numbers, 1)
    every_flip_is_undone(growing, numbers, 1)


@pytest.mark.parametrize("grows", [False, True])
def test_worse_damage_gives_all_elements_or_changes_nothing(fixed, growing, grows, numbers):
    folder = growing if grows else fixed.root
    path, rng = folder / METADATA, np.random.default_rng(5)
    good, repaired, told = path.read_bytes(), 0, 0
    places = [place for place, each in enumerate(good) if chr(each).isalnum()]
    for _ in range(12):
        damaged = bytearray(good)
        for place in rng.choice(places, 3, replace=False):
            damaged[place] = rng.choice([*b"0123456789"] if good[place] < 58 else [*b"aehkst"])
        path.write_bytes(damaged)
        before = snapshot(folder)
        try:
            done = repair(folder)
        except HaversackError:
            assert snapshot(folder) == before
            told += 1
            continue
        np.testing.assert_array_equal(SplitDataset(folder)[...], numbers)
        repaired += bool(done.rebuilt)
    assert min(repaired, told) > 1


def test_metadata_that_are_whole_stay_as_they_are(fixed, growing, tmp_path, numbers):
    for folder in (fixed.root, growing):
        before = snapshot(folder)
        done = repair(folder)
        assert (done.rebuilt, done.lost, done.kept_as) == ([], [], None)
        assert (done.shape, done.dtype) == (numbers.shape, numbers.dtype)
        assert snapshot(folder) == before
    with pytest.raises(PathNotFoundError):
        repair(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "is not a split array")
    assert list((tmp_path / "empty").iterdir()) == []


def test_what_a_dry_run_says_is_what_is_done(fixed, numbers):
    path = fixed.root / METADATA
    path.unlink()
    before = snapshot(fixed.root)
    said = repair(fixed.root, numbers.shape, dry_run=True)
    assert (snapshot(fixed.root), (fixed.root / ".lock").exists()) == (before, False)
    assert said.rebuilt == [path]
    assert repair(fixed.root, numbers.shape) == said
    holds(fixed.root, numbers)


def test_lost_metadata_come_back_from_the_blocks_and_the_shape(fixed, numbers):
    array = fixed.array_id
    (fixed.root / METADATA).unlink()
    with pytest.raises(FormatError, match=f"but no {METADATA}: .*`haversack repair {fixed.root}`"):
        SplitDataset(fixed.root)
    asked = (
        r"without its shape; .* 6 blocks of int32, number 0 of shape \(3, 4\), the last, number 5"
    )
    refused(fixed.root, asked, UsageError)
    done = repair(fixed.root, numbers.shape)
    assert (done.shape_block, done.kept_as) == ((3, 4), None)
    assert [damage.where for damage in done.lost] == [
        "resolution, axes, units, frequency, metadata"
    ]
    holds(fixed.root, numbers)
    assert SplitDataset(fixed.root).array_id == array
    SplitDataset(fixed.root)[2:5, 3] = -1  # it is written to as before
    assert SplitDataset(fixed.root)[3, 3] == -1


def test_a_shape_that_is_not_the_arrays_is_refused(fixed):
    (fixed.root / METADATA).unlink()
    for shape in ((7, 7), (8, 6), (6, 6), (10, 6), (6, 7), (0, 6), (7, 3), (1 << 60, 6)):
        refused(
            fixed.root, "Nothing was changed|larger than any|missing", HaversackError, shape=shape
        )
    for other in ((7, 6, 1), (42,), (None, 6)):
        refused(fixed.root, "shape", UsageError, shape=other)
    wrongs: list[Any] = [(7, -6), ("7", 6), 7]
    for wrong in wrongs:
        with pytest.raises(UsageError, match="shape .* is not a length >= 0"):
            repair(fixed.root, wrong)
    refused(fixed.root, "contradicts", UsageError, shape=(7, 6), dtype="u2")
    refused(fixed.root, "block number|shape", shape=(7, 6), block_size=(3, 3))


def test_the_advice_to_write_the_metadata_oneself_leads_to_the_array(fixed, numbers):
    path = fixed.root / METADATA
    path.write_text(json.dumps({"shape_full": [7, 6], "shape_block": [3, 4]}))
    with pytest.raises(FormatError, match=f"does not say that .*`haversack repair {fixed.root}`"):
        SplitDataset(fixed.root)[...]
    written = path.read_bytes()
    done = repair(fixed.root)
    assert done.kept_as is not None
    assert re.fullmatch(rf"{METADATA}\.damaged-[0-9a-f]{{8}}", done.kept_as.name)
    assert done.kept_as.read_bytes() == written
    holds(fixed.root, numbers)
    path.write_text(json.dumps({"shape_full": [7, 6], "shape_block": [2, 4]}))
    refused(fixed.root, "does not fit an array of int32 and shape")


def test_what_makes_sense_in_damaged_metadata_is_kept(fixed, numbers):
    path = fixed.root / METADATA
    document = json.loads(path.read_text())
    document["haversack"].update(dtype="<u2", array="00" * 16, units=[1, 2], layout="frames")
    path.write_text(json.dumps(document))
    with pytest.raises(IntegrityError, match="does not match its checksum.*`haversack repair"):
        SplitDataset(fixed.root)
    done = repair(fixed.root)
    assert "may be wrong" in done.lost[0].what
    found = SplitDataset(fixed.root)
    assert (found.resolution, found.frequency, found.units) == ((0.5, 2.0), 20, ())
    assert (found.metadata, found.array_id) == (ABOUT["metadata"], fixed.array_id)
    assert (found.coding.compressor, found.coding.layout) == ("zstd", "frames")
    holds(fixed.root, numbers)


def test_a_block_that_is_missing_is_named_and_the_others_read(fixed, numbers):
    (fixed.root / METADATA).unlink()
    (fixed.root / "0001.h5").unlink()
    refused(fixed.root, "without its padding .* for 1 of 6 blocks are", UsageError, shape=(7, 6))
    done = repair(fixed.root, (7, 6), padding=(0, 0))
    assert [damage.path.name for damage in done.lost[1:]] == ["0001.h5"]
    found = SplitDataset(fixed.root)
    np.testing.assert_array_equal(found[:, :4], numbers[:, :4])
    with pytest.raises(FormatError, match=r"0001.h5 is missing"):
        found[0]
    (fixed.root / METADATA).unlink()
    (fixed.root / "0000.h5").unlink()
    known: dict[str, Any] = {"shape": (7, 6), "padding": (0, 0)}
    refused(fixed.root, "shape of its blocks, for the first", UsageError, **known)
    repair(fixed.root, (7, 6), block_size=(3, 4))
    np.testing.assert_array_equal(SplitDataset(fixed.root)[3:], numbers[3:])


def test_padding_is_never_guessed(tmp_path, numbers):
    padded = save_to_split_dataset(numbers, tmp_path / "padded", (2, 4), padding=(1, 0)).root
    (padded / METADATA).unlink()
    refused(padded, "its shape is .* does not fit", shape=(7, 6))
    repair(padded, (7, 6), padding=(1, 0))
    found = SplitDataset(padded)
    assert (found.shape_block, found.padding) == ((2, 4), (1, 0))
    np.testing.assert_array_equal(found, numbers)


@pytest.mark.parametrize("padding", [0, 1])
def test_blocks_that_are_all_of_one_length_may_be_padded(tmp_path, numbers, padding):
    """Blocks of rows 0:3, 2:5 and 4:6, without the last, look as blocks of rows 0:3 and 3:6 do."""
    data, size = numbers[:6], (3 - padding, None)
    folder = save_to_split_dataset(data, tmp_path / "padded", size, padding=padding).root
    (folder / METADATA).unlink()
    (folder / "0002.h5").unlink(missing_ok=True)
    assert sorted(path.name for path in folder.glob("*.h5")) == ["0000.h5", "0001.h5"]
    refused(folder, "without its padding .* behind the last may be", UsageError, shape=(6, 6))
    repair(folder, (6, 6), padding=(padding, 0))
    np.testing.assert_array_equal(SplitDataset(folder)[:4], data[:4])


def test_the_shape_of_a_single_block_is_not_taken_for_the_arrays(tmp_path, numbers):
    lone = save_to_split_dataset(numbers, tmp_path / "lone").root
    (lone / METADATA).unlink()
    refused(lone, r"without its shape; .* number 0, of shape \(7, 6\)", UsageError)
    assert repair(lone, (7, 6)).shape == (7, 6)
    holds(lone, numbers)


@pytest.mark.parametrize("grows", [False, True])
@pytest.mark.parametrize("left", [None, "x"])
def test_the_first_block_that_alone_is_left_does_not_tell_the_shape(tmp_path, numbers, grows, left):
    folder, save = tmp_path / "first", save_frames if grows else save_to_split_dataset
    save(numbers, folder, (3, None))
    _, *others = sorted(folder.glob("*.h5"))
    for path in others:
        path.unlink()
    if left is None:
        (folder / METADATA).unlink()
    else:
        rewritten(folder, shape_full=left)
    refused(folder, "without its shape", UsageError)
    done = repair(folder, (7, 6), padding=(0, 0))
    assert [damage.path for damage in done.lost[1:]] == others
    assert done.shape == SplitDataset(folder).shape == (7, 6)
    np.testing.assert_array_equal(SplitDataset(folder)[:3], numbers[:3])


def test_blocks_that_were_lost_behind_the_last_are_missing(tmp_path, numbers):
    for rows in (6, 7):  # the last slab is whole, or has one row
        for told in ("by the caller", "by damaged metadata"):
            folder = save_frames(numbers[:rows], tmp_path / f"{rows} {told}", (3, 4)).root
            lost = sorted(folder.glob("*.h5"))[-2:]
            kept = {path: path.read_bytes() for path in lost}
            for path in lost:
                path.unlink()
            if told == "by the caller":
                (folder / METADATA).unlink()
                done = repair(folder, (rows, 6))
            else:
                rewritten(folder)
                done = repair(folder)
            assert done.shape == SplitDataset(folder).shape == (rows, 6)
            assert [damage.path for damage in done.lost[1:]] == lost
            assert {damage.path for damage in SplitDataset(folder).verify()} == {*lost}
            with pytest.raises(FormatError, match=f"{lost[0].name} is missing"):
                SplitDataset(folder)[rows - 1]
            if rows % 3:  # nobody appends to a slab whose blocks are gone
                with pytest.raises(HaversackError, match=lost[0].name):
                    FrameWriter(folder)
            else:
                FrameWriter(folder).close()
            for path, content in kept.items():
                path.write_bytes(content)
            goes_on(folder, numbers[:rows])


def test_the_last_of_very_many_blocks_is_missing_though_they_are_named_as_those_that_grow(
    tmp_path, numbers
):
    folder = save_to_split_dataset(numbers, tmp_path / "many", (1, None)).root
    for path in folder.glob("*.h5"):
        path.rename(folder / f"00{path.name}")
    (folder / METADATA).unlink()
    (folder / "000006.h5").unlink()
    done = repair(folder, (7, 6), padding=0)
    assert [damage.path.name for damage in done.lost[1:]] == ["000006.h5"]
    assert SplitDataset(folder).shape == (7, 6)
    np.testing.assert_array_equal(SplitDataset(folder)[:6], numbers[:6])


@pytest.mark.parametrize("counted", [0, 2, 3])
def test_a_count_in_damaged_metadata_that_is_older_than_the_blocks_hides_none(
    tmp_path, numbers, counted
):
    folder = save_frames(numbers, tmp_path / "older", (3, 4)).root
    rewritten(folder, shape_full=(counted, 6))
    assert repair(folder).shape == (7, 6)
    goes_on(folder, numbers)


def test_a_last_block_that_is_shorter_than_was_said_is_refused(tmp_path, numbers):
    folder = save_frames(numbers, tmp_path / "short", (3, 4)).root
    rewritten(folder, shape_full=(8, 6))
    refused(folder, r"000004.h5.* shape \(8, 6\) .*None for a first axis")
    refused(folder, "larger than any|too many blocks|000004.h5", shape=(1 << 40, 6))
    assert repair(folder, (None, 6)).shape == (7, 6)
    goes_on(folder, numbers)


def test_rows_that_were_lost_behind_those_in_journals_are_never_written_anew(growing, numbers):
    gone = r"rows 7 to 8 of 9 are gone.* give the shape \(None, 6\)"
    rewritten(growing, shape_full=(9, 6))
    refused(growing, gone)
    (growing / METADATA).unlink()
    refused(growing, gone, shape=(9, 6))
    for rows in (None, 7):  # a count of them all hides no journal
        (growing / METADATA).unlink(missing_ok=True)
        assert repair(growing, (rows, 6)).shape == (7, 6)
        holds(growing, numbers)
    goes_on(growing, numbers)


def test_files_that_are_not_of_the_array_are_named_and_nothing_is_written(fixed, tmp_path, numbers):
    folder = fixed.root
    (folder / METADATA).unlink()
    good = (folder / "0002.h5").read_bytes()
    other = save_to_split_dataset(numbers, tmp_path / "other", (3, 4)).root
    for content, what in (
        ((other / "0002.h5").read_bytes(), "0002.h5 is of the array"),
        ((folder / "0003.h5").read_bytes(), "0002.h5 does not belong here: its block number is 3"),
        (good[:-100], "0002.h5 has no tail"),
        (good[:-60] + b"?" + good[-59:], "0002.h5: the tail does not match its checksum"),
        (b"", "0002.h5 has no tail"),
    ):
        (folder / "0002.h5").write_bytes(content)
        refused(folder, f"{what}.* elsewhere", shape=(7, 6))
    (folder / "0002.h5").rename(tmp_path / "0002.h5")
    assert len(repair(folder, (7, 6), padding=(0, 0)).lost) == 2
    (folder / "0002.h5").write_bytes(good)
    holds(folder, numbers)


def test_what_another_program_wrote_keeps_its_advice(tmp_path, numbers):
    import h5py

    folder = tmp_path / "other"
    folder.mkdir()
    for number in range(2):
        with h5py.File(folder / f"{number:04}.h5", "w") as hdf5:
            hdf5["stack_2D"] = numbers[3 * number : 3 * number + 3]
    with pytest.raises(FormatError, match="write the file yourself") as told:
        SplitDataset(folder)
    assert "repair" not in str(told.value)
    refused(folder, "write the file yourself", shape=(6, 6))
    document = {"shape_full": [6, 6], "shape_block": [3, 6]}
    (folder / METADATA).write_text(json.dumps(document))
    assert repair(folder).rebuilt == []
    np.testing.assert_array_equal(SplitDataset(folder), numbers[:6])


def test_an_array_that_is_still_written_is_left_alone(tmp_path, numbers):
    empty = EmptySplitDataset(tmp_path, "slow", (7, 6), (3, None))
    empty.save_block_data(0, numbers[:3])
    refused(tmp_path / "slow", "still being written", shape=(7, 6))
    for number, (_, where) in enumerate(empty.slices()):
        if number:
            empty.save_block_data(number, numbers[where])
    holds(empty.finalize().root, numbers)


def test_metadata_of_a_newer_format_are_not_replaced(fixed):
    path = fixed.root / METADATA
    document = json.loads(path.read_text())
    document["haversack"]["format"] = 2
    document["haversack"]["crc32c"] = checksum_of(document)
    path.write_text(json.dumps(document))
    refused(fixed.root, "upgrade haversack", NewerFormatError, shape=(7, 6))


@pytest.mark.parametrize("kept", [True, False])
def test_frames_in_journals_are_kept(growing, numbers, kept):
    path = growing / METADATA
    if kept:
        document = json.loads(path.read_text())
        document["haversack"]["units"] = ["m", "m"]
        path.write_text(json.dumps(document))
        assert repair(growing).shape == (7, 6)
        assert SplitDataset(growing).frequency == 20
    else:
        path.unlink()
        refused(growing, "without its shape .None for the first axis", UsageError)
        done = repair(growing, (None, 6))
        assert (done.shape, done.shape_block) == ((7, 6), (3, 4))
    goes_on(growing, numbers)


def test_the_shape_of_frames_that_a_journal_shows_to_be_blocks_is_known(tmp_path, numbers):
    folder = grown(tmp_path / "a", np.concatenate([numbers, numbers[:1]]), (3, None))
    (folder / METADATA).unlink()
    assert repair(folder).shape == (8, 6)
    goes_on(folder, np.concatenate([numbers, numbers[:1]]))


@pytest.mark.parametrize("rows", [3, 4, 6, 7])
def test_an_array_that_was_closed_goes_on_after_its_repair(tmp_path, numbers, rows):
    folder = save_frames(numbers[:rows], tmp_path / "closed", (3, 4)).root
    (folder / METADATA).unlink()
    for other in ((None, 9), (None, 12), (None, 4)):
        refused(folder, "Nothing was changed", shape=other)
    repair(folder, (None, 6))
    goes_on(folder, numbers[:rows])


def test_blocks_of_equal_shape_are_never_taken_for_frames(tmp_path):
    data = np.arange(24, dtype="u2").reshape(4, 6)
    folder = save_frames(data, tmp_path / "tiles", (2, 3)).root
    (folder / METADATA).unlink()
    refused(folder, "without its shape", UsageError)
    repair(folder, (None, 6))
    goes_on(folder, data)


@pytest.mark.parametrize("block", [(20, None), (20, 4)])
def test_an_array_of_journals_alone_is_described_by_who_recorded_it(tmp_path, numbers, block):
    folder = grown(tmp_path / "live", numbers, block)
    kept = (folder / METADATA).read_bytes()
    (folder / METADATA).unlink()
    for read in (SplitDataset, haversack.open):
        with pytest.raises(FormatError, match=f"frames in journals.*`haversack repair {folder}`"):
            read(folder)
    refused(folder, "without its shape", UsageError)
    refused(folder, "without the shape of its blocks", UsageError, shape=(None, 6))
    known: dict[str, Any] = {"shape": (None, 6), "block_size": (20, block[1])}
    refused(folder, "without its dtype", UsageError, **known)
    for dtype in ("i2", "f8"):
        refused(folder, "frames of .* bytes", dtype=dtype, **known)
    for wrong in ({"shape": (None, 5)}, {"block_size": (20, 2)}, {"block_size": (4, block[1])}):
        refused(folder, "Nothing was changed", **{**known, "dtype": "i4", **wrong})
    assert repair(folder, dtype="i4", **known).shape == (7, 6)
    assert read_stack(folder) == replace(
        read_stack(folder), array=json.loads(kept)["haversack"]["array"], shape=(0, 6)
    )
    goes_on(folder, numbers)


def test_of_very_many_missing_blocks_it_says_that_there_are_more(fixed, monkeypatch):
    for number in (1, 2, 4):
        (fixed.root / f"000{number}.h5").unlink()
    (fixed.root / METADATA).unlink()
    for most, told in ((2, ["block 1", "block 2", ""]), (3, ["block 1", "block 2", "block 4"])):
        monkeypatch.setattr(restoring, "_MOST_MISSING", most)
        lost = repair(fixed.root, shape=(7, 6), block_size=(3, 4), padding=0, dry_run=True).lost
        assert [damage.where for damage in lost[1:]] == told
    monkeypatch.setattr(restoring, "_MOST_MISSING", 2)
    lost = repair(fixed.root, shape=(7, 6), block_size=(3, 4), padding=0).lost
    assert lost[-1].what == "more blocks are missing"


def test_frames_behind_a_journal_that_is_lost_are_not_hidden(tmp_path, numbers):
    folder = tmp_path / "live"
    FrameWriter(folder, block_size=(2, None)).append(numbers[0])
    stack = read_stack(folder)
    from haversack.split.chunks.codec import coding_named
    from haversack.split.directory.journal import encode_header
    from haversack.split.growth.rows import encode_rows

    for slab in (1, 3):
        rows = encode_rows(numbers[2 * slab : 2 * slab + 2], stack, 2 * slab, coding_named(None))
        content = encode_header(2 * slab, stack.array) + b"".join(rows)
        (folder / journal_name(slab)).write_bytes(content)
    (folder / METADATA).unlink()
    known: dict[str, Any] = {"shape": (None, 6), "dtype": "i4"}
    refused(folder, f"{journal_name(3)} holds frames behind {journal_name(2)}", **known)


def test_a_journal_of_another_array_is_named(growing, tmp_path, numbers):
    (growing / METADATA).unlink()
    other = grown(tmp_path / "other", numbers)
    shutil.copy(other / journal_name(2), growing / journal_name(2))
    refused(growing, f"{journal_name(2)} is of the array", shape=(None, 6))
    (growing / journal_name(2)).write_bytes(b"\0" * 100)
    refused(growing, "journal's header is damaged", shape=(None, 6))


def test_a_new_array_in_the_place_of_a_lost_one_is_told_of_the_repair(growing, numbers):
    (growing / METADATA).unlink()
    before = snapshot(growing)
    for begin in (
        lambda: save_frames(numbers, growing),
        lambda: FrameWriter(growing).append(numbers[0]),
        lambda: save_to_split_dataset(numbers, growing),
        lambda: EmptySplitDataset(growing.parent, growing.name, (7, 6)),
    ):
        with pytest.raises(ExistsError, match=f"was lost.*`haversack repair {growing}`"):
            begin()
    assert snapshot(growing) == before


def test_a_writer_at_work_goes_on_after_the_repair(tmp_path, numbers):
    folder = tmp_path / "live"
    writer = FrameWriter(folder, block_size=(3, 4))
    writer.extend(numbers[:2])
    (folder / METADATA).write_bytes(b"?")
    known: dict[str, Any] = {"shape": (None, 6), "block_size": (3, 4), "dtype": "i4"}
    assert repair(folder, **known).shape == (2, 6)
    for row in numbers[2:]:
        writer.append(row)
    writer.close()
    holds(folder, numbers)


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_whatever_is_missing_and_known_no_element_is_wrong(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("any") / "array"
    axes = data.draw(st.integers(1, 3))
    shape, block = (
        tuple(data.draw(st.lists(st.integers(1, most), min_size=axes, max_size=axes)))
        for most in (7, 5)
    )
    array = np.arange(np.prod(shape), dtype="u2").reshape(shape)
    grows = axes > 1 and data.draw(st.booleans())
    if grows:
        with FrameWriter(folder.with_name("live"), block_size=block) as writer:
            writer.extend(array)
            if data.draw(st.booleans()):
                shutil.copytree(writer.path, folder)
        if not folder.exists():
            shutil.copytree(writer.path, folder)
    else:
        padding = data.draw(st.lists(st.integers(0, 2), min_size=axes, max_size=axes))
        save_to_split_dataset(array, folder, block, padding=padding)
    stack = read_stack(folder)
    (folder / METADATA).unlink()
    lost = data.draw(st.sets(st.sampled_from([*folder.glob("*.h5")]))) if stack.shape[0] else ()
    for path in lost:
        path.unlink()
    is_counted = not grows or data.draw(st.booleans())
    known: dict[str, Any] = {
        "shape": shape if is_counted else (None, *shape[1:]),
        "block_size": stack.shape_block,
        "padding": stack.padding,
        "dtype": "u2",
    }
    told = {name: value for name, value in known.items() if data.draw(st.booleans())}
    before = snapshot(folder)
    try:
        repair(folder, **told)
    except HaversackError:
        assert snapshot(folder) == before
        assert lost or len(told) < len(known)
        return
    found = SplitDataset(folder)
    assert found.dtype == array.dtype
    assert all(n <= most for n, most in zip(found.shape, shape, strict=True))
    assert found.shape == shape or "shape" not in told or not is_counted
    for where in np.ndindex(found.shape):
        with suppress(FormatError):
            assert found[where] == array[where]
    if not lost:
        np.testing.assert_array_equal(found[...], array)
        if grows:
            goes_on(folder, array)


def test_of_two_processes_that_repair_one_finds_nothing_to_do(fixed, numbers):
    path = fixed.root / METADATA
    path.write_text('{"shape_full": [7, 6], "shape_block": [3, 4]}')
    with ProcessPoolExecutor(4, get_context("spawn")) as pool:
        done = [each.result() for each in [pool.submit(repair, fixed.root) for _ in range(8)]]
    assert sum(bool(each.rebuilt) for each in done) == 1
    assert len(list(fixed.root.glob(f"{METADATA}.damaged-*"))) == 1
    holds(fixed.root, numbers)


def test_what_others_repaired_while_one_waited_for_the_lock_stays(fixed, monkeypatch):
    path, waits = fixed.root / METADATA, threading.Event()
    good = path.read_bytes()

    def told(lock):
        waits.set()
        return exclusive(lock)

    monkeypatch.setattr(restoring, "exclusive", told)
    path.write_text('{"shape_full": [7, 6], "shape_block": [3, 4]}')
    with ThreadPoolExecutor(1) as pool, ExitStack() as lock:
        lock.enter_context(exclusive(fixed.root / LOCK))
        late = pool.submit(repair, fixed.root)
        assert waits.wait(60)
        path.write_bytes(good)
        before = late.done()
        lock.close()
    assert (before, late.result().rebuilt, path.read_bytes()) == (False, [], good)


KILLED = """
import os, signal, sys
from pathlib import Path
from haversack.split import repair
from haversack.storage import publish
left = 0
def dies(real):
    def one(*arguments, **options):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **options)
    return one
for owner, name in ((os, "fsync"), (os, "open"), (os, "link"), (Path, "replace"), (Path, "unlink")):
    setattr(owner, name, dies(getattr(owner, name)))
folder, count = sys.argv[1], 0
real, old = os.write, Path(folder, "stack_metadata.json").read_bytes()
while True:
    child = os.fork()
    if not child:
        left = count
        repair(folder)
        os._exit(0)
    left, ended = 1000, os.waitpid(child, 0)[1]
    now = Path(folder, "stack_metadata.json").read_bytes()
    print(count, os.waitstatus_to_exitcode(ended), "old" if now == old else now.hex(), flush=True)
    if not ended:
        break
    Path(folder, "stack_metadata.json").write_bytes(old)
    count += 1
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a system without fork")
def test_a_killed_repair_leaves_the_old_metadata_or_the_new(fixed, numbers):
    path = fixed.root / METADATA
    path.write_bytes(b'{"shape_full": [7, 6], "shape_block": [3, 4]}')
    lines = [line.split() for line in run_python(KILLED, fixed.root).splitlines()]
    assert [code for _, code, _ in lines] == ["-9"] * (len(lines) - 1) + ["0"]
    states = [left for _, _, left in lines]
    new = states[-1]
    assert sorted(set(states)) == sorted({"old", new})
    assert states == sorted(states, key=lambda left: left == new)
    assert (states.count("old") > 5, states.count(new) > 1) == (True, True)
    holds(fixed.root, numbers)
    assert path.read_bytes() == bytes.fromhex(new)
