"""Frames are appended while others read: each is there, durable, once ``append`` has returned."""

import json
import os
import re
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.running import run_python

from haversack.errors import (
    ConflictError,
    ExistsError,
    FormatError,
    IntegrityError,
    NewerFormatError,
    UnsupportedError,
    UsageError,
)
from haversack.split import FrameWriter, SplitDataset, save_frames, save_to_split_dataset
from haversack.split.chunks.codec import coding_named
from haversack.split.directory.journal import encode_header, journal_name
from haversack.split.directory.metadata import metadata_document, read_stack
from haversack.split.growth import rows
from haversack.split.growth.rows import encode_rows
from haversack.split.growth.slabs import OpenSlab

SIZE = (4, None, 5, None)


@pytest.fixture
def frames():
    return np.random.default_rng(3).integers(0, 900, (19, 2, 9, 8)).astype("uint16")


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_any_appends_and_reopenings_give_all_frames(tmp_path_factory, data):
    rows = data.draw(st.integers(1, 5))
    size = (rows, *(data.draw(st.none() | st.integers(1, 4)) for _ in range(2)))
    path = tmp_path_factory.mktemp("any") / "live"
    frames = np.arange(40 * 12, dtype="int32").reshape(40, 4, 3)
    done, watched = 0, None
    for _ in range(data.draw(st.integers(1, 3))):
        with FrameWriter(path, block_size=size) as writer:
            for _ in range(data.draw(st.integers(0, 3))):
                more = data.draw(st.integers(1, 4))
                writer.extend(frames[done : done + more])
                done += more
                watched = watched or SplitDataset(path)
                watched.refresh()
                np.testing.assert_array_equal(watched[...], frames[:done])
                np.testing.assert_array_equal(watched[::-2, 1], frames[:done][::-2, 1])
    if watched is not None:
        watched.refresh()
        np.testing.assert_array_equal(watched[...], frames[:done])
        assert SplitDataset(path).verify() == []
        assert not [name for name in os.listdir(path) if name.endswith(".journal")]


def test_the_first_frame_says_what_frames_are(tmp_path, frames):
    about: dict[str, Any] = {
        "resolution": (1, 5, 0.5, 0.5),
        "frequency": 20,
        "units": ("s", "um", "um", "um"),
    }
    with FrameWriter(tmp_path / "live", block_size=SIZE, compression="zstd", **about) as writer:
        assert len(writer) == 0
        writer.append(frames[0])
        assert writer.shape == (1, 2, 9, 8)
        for wrong in (frames[0][:1], frames[0].astype("f4"), frames):
            with pytest.raises(UsageError):
                writer.append(wrong)
        assert len(writer) == 1
    found = SplitDataset(tmp_path / "live")
    assert (found.frequency, found.resolution, found.units) == (
        20,
        (1, 5, 0.5, 0.5),
        ("s", "um", "um", "um"),
    )
    with FrameWriter(tmp_path / "live", **about) as writer:
        writer.append(frames[1])
    others: list[dict[str, Any]] = [
        {"block_size": (3, None, 5, None)},
        {"dtype": "f4"},
        {"frequency": 3},
    ]
    for other in others:
        with pytest.raises(UsageError):
            FrameWriter(tmp_path / "live", **other)
    np.testing.assert_array_equal(SplitDataset(tmp_path / "live"), frames[:2])


def test_an_array_of_fixed_length_is_not_appended_to(tmp_path, frames):
    save_to_split_dataset(frames, tmp_path / "fixed")
    with pytest.raises(ExistsError, match="does not grow"):
        FrameWriter(tmp_path / "fixed")
    with pytest.raises(UsageError, match="no elements"):
        FrameWriter(tmp_path / "none").append(np.zeros((3, 0)))


def test_a_writer_that_was_taken_over_is_told(tmp_path, frames):
    first = FrameWriter(tmp_path / "live", block_size=SIZE)
    first.extend(frames[:6])
    second = FrameWriter(tmp_path / "live")
    second.append(frames[6])
    with pytest.raises(ConflictError, match="took .* over"):
        first.append(frames[7])
    first.close()
    second.close()
    np.testing.assert_array_equal(SplitDataset(tmp_path / "live"), frames[:7])


def test_a_writer_that_was_taken_over_cannot_publish(tmp_path, frames):
    first = FrameWriter(tmp_path / "live", block_size=SIZE)
    first.append(frames[0])
    with FrameWriter(tmp_path / "live") as second:
        second.extend(frames[1:9])
    with pytest.raises(ConflictError):
        first.close()
    np.testing.assert_array_equal(SplitDataset(tmp_path / "live"), frames[:9])
    assert SplitDataset(tmp_path / "live").verify() == []


def test_a_writer_that_slept_while_another_published_is_told(tmp_path, frames):
    first = FrameWriter(tmp_path / "live", block_size=SIZE)
    first.extend(frames[:4])  # a whole block: it has no journal
    with FrameWriter(tmp_path / "live") as second:
        second.append(frames[4])
    with pytest.raises(ConflictError):
        first.append(frames[5])
    np.testing.assert_array_equal(SplitDataset(tmp_path / "live"), frames[:5])


def test_a_journal_that_is_taken_over_while_it_is_begun_has_one_owner(
    tmp_path, frames, monkeypatch
):
    FrameWriter(tmp_path, block_size=SIZE, dtype="uint16").extend(frames[:4])  # a whole block
    first, others, real = FrameWriter(tmp_path), list[FrameWriter](), OpenSlab._open

    def open_late(slab):
        monkeypatch.setattr(OpenSlab, "_open", real)
        thread = threading.Thread(target=lambda: others.append(FrameWriter(tmp_path)))
        thread.start()
        thread.join(0.3)
        real(slab)
        threads.append(thread)

    threads = list[threading.Thread]()
    monkeypatch.setattr(OpenSlab, "_open", open_late)
    told = list[int]()
    with suppress(ConflictError):
        first.append(frames[5])
        told.append(5)
    threads[0].join()
    with suppress(ConflictError):
        others[0].append(frames[6])
        told.append(6)
    for writer in (first, others[0]):
        with suppress(ConflictError):
            writer.close()
    assert told
    np.testing.assert_array_equal(SplitDataset(tmp_path)[4:], frames[told])


@pytest.mark.parametrize("count", [1, 4])
def test_frames_whose_metadata_is_lost_are_set_aside_where_an_array_begins_anew(
    tmp_path, frames, count, caplog
):
    live, metadata = tmp_path / "live", tmp_path / "live" / "stack_metadata.json"
    old = FrameWriter(live, block_size=SIZE)
    for frame in frames[5:8]:
        old.append(frame)
    kept = metadata.read_bytes()
    metadata.unlink()  # as a failing disk or a slip of the hand may leave it
    (live / journal_name(1)).write_bytes(encode_header(4, "00" * 16))  # a journal without frames
    (live / "mine.journal").write_bytes(b"a file of somebody else's")
    with FrameWriter(live, block_size=SIZE) as writer:
        writer.extend(frames[:count])
        np.testing.assert_array_equal(SplitDataset(live)[...], frames[:count])
    found = SplitDataset(live)
    np.testing.assert_array_equal(found[...], frames[:count])
    assert found.verify() == []

    (lost,) = live.glob("*.lost-*")
    assert re.fullmatch(r"frames-000000\.journal\.lost-[0-9a-f]{16}", lost.name)
    assert [lost.name in message for message in caplog.messages] == [True]
    assert sorted(live.glob("*.journal")) == [live / "mine.journal"]
    (tmp_path / "again").mkdir()
    lost.rename(tmp_path / "again" / journal_name(0))
    (tmp_path / "again" / metadata.name).write_bytes(kept)
    np.testing.assert_array_equal(SplitDataset(tmp_path / "again")[...], frames[5:8])


def test_the_millionth_journal_is_none_of_those_before(tmp_path):
    frame, folder = np.arange(4, dtype="u1"), tmp_path / "long"
    FrameWriter(folder, block_size=(1, None)).append(frame)
    for path in [*folder.glob("*.journal"), *folder.glob("*.h5")]:
        path.unlink()
    stack = replace(read_stack(folder), shape=(999_999, 4))
    (folder / "stack_metadata.json").write_bytes(metadata_document(stack))
    for slab in (999_998, 999_999, 1_000_000):
        row = b"".join(
            encode_rows(frame[None] + slab % 7, stack, slab, coding_named(None, "frames"))
        )
        (folder / journal_name(slab)).write_bytes(encode_header(slab, stack.array) + row)
    FrameWriter(folder).close()
    found = SplitDataset(folder)
    assert len(found) == 1_000_001
    np.testing.assert_array_equal(found[999_999:], [frame + 999_999 % 7, frame + 1_000_000 % 7])
    assert not [*folder.glob("*.journal")]


def test_a_frame_cut_off_is_not_there_and_the_next_writer_goes_on(tmp_path, frames):
    writer = FrameWriter(tmp_path / "live", block_size=SIZE)
    for frame in frames[:3]:
        writer.append(frame)
    journal = tmp_path / "live" / journal_name(0)
    whole = journal.read_bytes()
    writer.append(frames[3])  # publishes the block
    writer.close()
    for length in range(0, len(whole), 61):
        journal.unlink(missing_ok=True)
        for path in (tmp_path / "live").glob("*.h5"):
            path.unlink()
        _make_empty(tmp_path / "live")
        journal.write_bytes(whole[:length])
        if length < 56:
            with pytest.raises(FormatError, match=r"frames-000000\.journal"):
                SplitDataset(tmp_path / "live")
            continue
        found = SplitDataset(tmp_path / "live")
        np.testing.assert_array_equal(found[...], frames[: len(found)])
        assert len(found) < 3
        assert found.verify() == []
        if length % 5 == 0:
            with FrameWriter(tmp_path / "live") as next_writer:
                next_writer.append(frames[9])
            again = SplitDataset(tmp_path / "live")
            np.testing.assert_array_equal(again[:-1], frames[: len(found)])
            np.testing.assert_array_equal(again[-1], frames[9])


def _make_empty(folder):
    """Take back what was published: the array as it was when it was begun."""
    stack = read_stack(folder)
    document = metadata_document(replace(stack, shape=(0, *stack.shape[1:])))
    (folder / "stack_metadata.json").write_bytes(document)


def test_every_flipped_byte_of_a_journal_is_told_or_harmless(tmp_path, frames):
    writer = FrameWriter(tmp_path / "live", block_size=(8, None, None, None))
    for frame in frames[:3, :1, :3, :4]:
        writer.append(frame)
    path = tmp_path / "live" / journal_name(0)
    good = path.read_bytes()
    for place in range(len(good)):
        path.write_bytes(good[:place] + bytes([good[place] ^ 0x21]) + good[place + 1 :])
        try:
            found = SplitDataset(tmp_path / "live")
        except FormatError as error:
            assert str(path) in str(error)  # noqa: PT017 (any byte may do either)
            continue
        lost = _lost(found, frames[:3, :1, :3, :4])
        assert len(found) + (not lost) >= 3, place  # what is behind the last frame is cut off
        assert len(lost) <= 1
        if lost:
            assert [one.where for one in found.verify()] == [f"row {lost[0]}"]
            with pytest.raises(IntegrityError, match="was appended after it"):
                FrameWriter(tmp_path / "live")


def _lost(dataset, frames):
    """List the frames that cannot be read; the others are right."""
    lost = []
    for number in range(len(dataset)):
        try:
            found = dataset[number]
        except FormatError as error:
            assert str(dataset.root) in str(error)  # noqa: PT017 (any frame may be lost)
            lost.append(number)
        else:
            np.testing.assert_array_equal(found, frames[number])
    return lost


@pytest.fixture
def write_journals(tmp_path):
    """Write an array of blocks of 4 rows that is in journals alone, appended in pieces."""

    def write(frames, pieces):
        folder = tmp_path / "live"
        writer = FrameWriter(folder, block_size=(4, 3, None))
        writer.append(frames[0])
        writer._let_go()
        stack, coding = read_stack(folder), coding_named(None, "frames")
        for first in range(0, len(frames), 4):
            content, start = encode_header(first, stack.array), first
            for count in pieces:
                rows = frames[start : min(start + count, first + 4)]
                content += b"".join(encode_rows(rows, stack, start, coding))
                start += len(rows)
            (folder / journal_name(first // 4)).write_bytes(content)
        return folder

    return write


@pytest.mark.parametrize("pieces", [(1, 1, 1, 1), (3, 1), (1, 3), (2, 2)])
def test_any_damage_of_a_journal_loses_only_what_it_hit(write_journals, pieces):
    frames = np.random.default_rng(0).integers(0, 99, (4, 5, 6), np.uint16)
    path = write_journals(frames, pieces) / journal_name(0)
    good, random = path.read_bytes(), np.random.default_rng(1)
    rows = [*[found.start() for found in re.finditer(b"HVFR", good)][::2], len(good)]
    end = rows[4 - pieces[-1]]  # of the last append nothing proves that it was whole
    for _ in range(200):
        start = int(random.integers(rows[0], end))
        stop = int(random.integers(start + 1, min(start + 200, end) + 1))
        path.write_bytes(good[:start] + random.bytes(stop - start) + good[stop:])
        found = SplitDataset(path.parent)
        lost = _lost(found, frames)
        assert len(found) == 4
        assert lost == [row for row in range(4) if rows[row] < stop and start < rows[row + 1]]
        assert {one.where for one in found.verify()} == {f"row {row}" for row in lost}
        with pytest.raises(IntegrityError, match="was appended after it"):
            FrameWriter(path.parent)


def test_rows_taken_out_of_a_journal_are_told(write_journals):
    frames = np.random.default_rng(0).integers(0, 99, (4, 5, 6), np.uint16)
    path = write_journals(frames, (1, 1, 1, 1)) / journal_name(0)
    good = path.read_bytes()
    path.write_bytes(good[:100] + good[100 + (len(good) - 56) * 2 // 4 :])
    with pytest.raises(IntegrityError, match=r"rows 0 to 1 are not there.*row 2 was appended"):
        SplitDataset(path.parent)


@pytest.mark.parametrize("loss", ["gone", "cut", "empty"])
@pytest.mark.parametrize("slab", [0, 1])
def test_a_journal_lost_in_front_of_another_is_told_and_not_written_behind(
    write_journals, loss, slab
):
    frames = np.random.default_rng(0).integers(0, 99, (10, 5, 6), np.uint16)
    folder = write_journals(frames, (1, 1, 1, 1))
    path = folder / journal_name(slab)
    if loss == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[: -100 if loss == "cut" else 56])
    before = {one.name: one.read_bytes() for one in folder.iterdir()}
    found = SplitDataset(folder)
    lost = _lost(found, frames)
    kept = 3 if loss == "cut" else 0
    assert (len(found), lost) == (10, list(range(4 * slab + kept, 4 * slab + 4)))
    damage = found.verify()
    assert damage
    assert all(one.path == path or loss == "gone" for one in damage)
    with pytest.raises(IntegrityError, match=rf"{path.name} has lost rows from {lost[0]} on"):
        FrameWriter(folder)
    assert {one.name: one.read_bytes() for one in folder.iterdir()} == before


def test_a_journal_of_a_newer_format_says_upgrade(tmp_path, frames):
    import struct

    import google_crc32c

    writer = FrameWriter(tmp_path / "live", block_size=SIZE)
    writer.append(frames[0])
    path = tmp_path / "live" / journal_name(0)
    data = bytearray(path.read_bytes())
    data[8:12] = struct.pack("<I", 9)
    data[52:56] = struct.pack("<I", google_crc32c.value(bytes(data[:52])))
    path.write_bytes(data)
    with pytest.raises(NewerFormatError, match="format 9, this haversack reads up to 1"):
        SplitDataset(tmp_path / "live")


WRITER = """
import sys, time
import numpy as np
from haversack.split import FrameWriter

with FrameWriter("live", block_size=(5, None, None, None)) as writer:
    for t in range(int(sys.argv[1])):
        frame = np.full((4, 64, 64), t, "uint16")
        writer.append(frame)
        print(t, flush=True)
        time.sleep(0.01)
"""


def test_a_reader_in_another_process_sees_each_frame_as_it_comes(tmp_path):
    with FrameWriter(tmp_path / "live", block_size=(5, None, None, None)) as writer:
        writer.append(np.full((4, 64, 64), 0, "uint16"))
    program = WRITER.replace("range(int(sys.argv[1]))", "range(1, int(sys.argv[1]))")
    watched = SplitDataset(tmp_path / "live")
    with subprocess.Popen(
        [sys.executable, "-c", program, "24"], cwd=tmp_path, stdout=subprocess.DEVNULL
    ) as process:
        for t, frame in enumerate(watched.follow(timeout=60), 1):
            assert (frame == t).all()
            if t == 23:
                break
    assert process.returncode == 0
    watched.refresh()
    np.testing.assert_array_equal(watched[:, 0, 0, 0], np.arange(24))
    assert watched.verify() == []


def test_a_killed_writer_loses_no_frame(tmp_path):
    told = 0
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, "50"], cwd=tmp_path, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        for _ in range(8):
            process.stdout.readline()
        process.kill()
        told += 8 + len(process.communicate()[0].split())
        found = SplitDataset(tmp_path / "live")
        assert told <= len(found) <= told + 1
        told = len(found)
        assert (found[:] == found[:, :1, :1, :1]).all()
        assert found.verify() == []


def test_following_ends_after_the_timeout(tmp_path, frames):
    with FrameWriter(tmp_path / "live", block_size=SIZE) as writer:
        writer.append(frames[0])
        found = SplitDataset(tmp_path / "live")
        began = time.monotonic()
        assert list(found.follow(timeout=0.05)) == []
        assert time.monotonic() - began >= 0.05


def test_frames_of_an_iterator_are_saved(tmp_path, frames):
    found = save_frames(iter(frames), tmp_path / "saved", SIZE, metadata={"fish": 3})
    np.testing.assert_array_equal(found, frames)
    assert found.metadata == {"fish": 3}
    with pytest.raises(ExistsError):
        save_frames(iter(frames), tmp_path / "saved")
    with pytest.raises(UsageError, match="no frames"):
        save_frames([], tmp_path / "none")
    with pytest.raises(UsageError, match="does not fit"):
        save_frames([frames[0], frames[1], frames[2][:1]], tmp_path / "odd", SIZE)
    np.testing.assert_array_equal(SplitDataset(tmp_path / "odd"), frames[:2])


def test_frames_are_saved_in_bounded_memory(tmp_path):
    """Sixty frames of a megabyte, in blocks of ten: the process grows by a few blocks alone."""
    program = (
        "import resource, numpy as np\n"
        "from haversack.split import save_frames\n"
        "frames = (np.full((512, 1024), t, 'uint16') for t in range(60))\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "save_frames(frames, 'saved', (10, None, None))\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)"
    )
    assert int(run_python(program, cwd=tmp_path)) < 55


def test_the_metadata_of_a_growing_array_is_the_old_packages(tmp_path, frames):
    with FrameWriter(tmp_path / "live", block_size=SIZE) as writer:
        writer.extend(frames[:6])
    document = json.loads((tmp_path / "live" / "stack_metadata.json").read_text())
    assert document["shape_full"] == [6, 2, 9, 8]
    assert document["shape_block"] == [4, 2, 5, 8]
    names = sorted(p.name for p in (tmp_path / "live").iterdir() if p.name[0] != ".")
    assert names == ["000000.h5", "000001.h5", "000002.h5", "000003.h5", "stack_metadata.json"]


def test_following_an_array_of_fixed_length_ends_at_once(tmp_path, frames):
    found = save_to_split_dataset(frames, tmp_path / "fixed")
    assert list(found.follow()) == []


def test_frames_of_no_elements_are_refused_and_leave_nothing(tmp_path):
    for begin in (
        lambda: save_frames(np.zeros((3, 0, 2)), tmp_path / "a"),
        lambda: FrameWriter(tmp_path / "a").append(np.zeros((0, 2))),
        lambda: save_frames(np.zeros((3, 0, 2)), tmp_path / "a", (1, None, None)),
    ):
        with pytest.raises(UsageError, match=r"a frame of shape \(0, 2\) has no elements"):
            begin()
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("count", [1, 2])
def test_a_frame_that_no_journal_takes_is_refused_before_anything_is_made(
    tmp_path, frames, monkeypatch, count
):
    nbytes = frames[0].nbytes
    monkeypatch.setattr(rows, "LARGEST_CHUNK", nbytes - 1)
    with pytest.raises(UnsupportedError, match=rf"{nbytes} bytes of each frame, more than"):
        FrameWriter(tmp_path / "a", block_size=(2,)).extend(frames[:count])
    assert not [*tmp_path.iterdir()]
    # What is never in a journal may be of any size.
    np.testing.assert_array_equal(save_frames(frames, tmp_path / "a", (1,)), frames)
    np.testing.assert_array_equal(save_frames(frames, tmp_path / "b", (4, 1)), frames)
