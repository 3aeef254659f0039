"""Damage in journals and last blocks of an array that grows is told of, and costs no more."""

import re

import numpy as np
import pytest

from haversack.cli.main import run
from haversack.errors import HaversackError, IntegrityError, PathNotFoundError, StorageError
from haversack.split import FrameWriter, SplitDataset, repair
from haversack.split.directory.journal import journal_name
from haversack.split.directory.metadata import METADATA
from haversack.storage.ranges import RangeFile

FRAMES = np.arange(11 * 6, dtype="i4").reshape(11, 6)
HEADER = 56


@pytest.fixture
def live(tmp_path):
    """Eight frames in blocks, and three in a journal, as a writer that was killed leaves them."""
    writer = FrameWriter(tmp_path / "live", block_size=(4, 4))
    for frame in FRAMES:
        writer.append(frame)
    writer._wait()
    writer._let_go()
    assert (tmp_path / "live" / journal_name(2)).exists()
    return tmp_path / "live"


def test_a_flipped_bit_of_a_journals_header_costs_nothing(live):
    path = live / journal_name(2)
    good = path.read_bytes()
    for bit in range(8 * HEADER):
        data = bytearray(good)
        data[bit // 8] ^= 1 << (bit % 8)
        path.write_bytes(data)
        dataset = SplitDataset(live)
        np.testing.assert_array_equal(dataset[...], FRAMES)
        (damage,) = dataset.verify()
        assert (damage.path, damage.where) == (path, "header")
    assert repair(live).lost == []
    with FrameWriter(live) as writer:
        writer.append(FRAMES[0])
    np.testing.assert_array_equal(SplitDataset(live)[:11], FRAMES)
    assert SplitDataset(live).verify() == []


@pytest.mark.parametrize(
    "data", [b"", b"\0" * 30, b"\0" * 500, None], ids=["empty", "short", "zeros", "cut"]
)
def test_a_journal_that_nobody_can_tell_is_set_aside_by_a_repair(live, data):
    path = live / journal_name(2)
    good = path.read_bytes()
    damaged = good[: HEADER - 1] if data is None else data
    path.write_bytes(damaged)
    for look in (SplitDataset, FrameWriter):
        with pytest.raises(IntegrityError, match=f"`haversack repair {re.escape(str(live))}`"):
            look(live)
    assert path.read_bytes() == damaged
    wanted = repair(live, dry_run=True)
    assert path.read_bytes() == damaged
    done = repair(live)
    assert (done.shape, done.rebuilt) == ((8, 6), [])
    (damage,) = done.lost
    assert (damage, wanted.lost) == (wanted.lost[0], done.lost)
    assert (damage.path, damage.where) == (path, "header")
    (aside,) = live.glob(f"{path.name}.lost-*")
    assert aside.read_bytes() == damaged
    np.testing.assert_array_equal(SplitDataset(live)[...], FRAMES[:8])
    assert repair(live).lost == []
    with FrameWriter(live) as writer:
        writer.append(FRAMES[8])
    np.testing.assert_array_equal(SplitDataset(live)[...], FRAMES[:9])


def test_the_command_line_says_that_a_journal_is_set_aside(live, capsys):
    (live / journal_name(2)).write_bytes(b"")
    for arguments, would in ((("--dry-run",), "would be "), ((), "")):
        assert run(["repair", str(live), *arguments]) == 1
        told = capsys.readouterr()
        assert f"its metadata are whole, 1 journals {would}set aside" in told.err
        assert journal_name(2) in told.out
    assert run(["repair", str(live)]) == 0
    assert "nothing to do" in capsys.readouterr().err


def test_what_the_disk_refuses_of_a_journal_is_listed(live, monkeypatch):
    dataset, read = SplitDataset(live), RangeFile.read

    def refused(file, *given):
        if file.path.name == journal_name(2):
            raise StorageError(f"cannot read {file.path}: Input/output error")
        return read(file, *given)

    monkeypatch.setattr(RangeFile, "read", refused)
    damages = dataset.verify()
    assert {damage.where for damage in damages} == {"row 8", "row 9", "row 10"}
    assert all(damage.refused for damage in damages)


def spoiled(path, how):
    if how == "tail":
        data = bytearray(path.read_bytes())
        data[-10] ^= 1
        path.write_bytes(data)
    elif how == "empty":
        path.write_bytes(b"")
    else:
        path.unlink()
        path.mkdir()


@pytest.mark.parametrize("how", ["tail", "empty", "directory"])
def test_every_damaged_block_of_an_array_that_grows_is_listed(tmp_path, how):
    with FrameWriter(tmp_path / "live", block_size=(4, None)) as writer:
        for frame in FRAMES[:10]:
            writer.append(frame)
    for number in (0, 2):  # the last one is not full
        spoiled(tmp_path / f"live/00000{number}.h5", how)
    damages = SplitDataset(tmp_path / "live").verify()
    assert [damage.path.name for damage in damages] == ["000000.h5", "000002.h5"]
    with pytest.raises(HaversackError):
        FrameWriter(tmp_path / "live")


def test_a_last_block_that_is_gone_is_asked_for(tmp_path):
    with FrameWriter(tmp_path / "live", block_size=(4, None)) as writer:
        for frame in FRAMES[:10]:
            writer.append(frame)
    last = tmp_path / "live/000002.h5"
    kept = last.read_bytes()
    last.unlink()
    with pytest.raises(PathNotFoundError, match="held rows 8 to 9, the last .* Bring it back"):
        FrameWriter(tmp_path / "live")
    np.testing.assert_array_equal(SplitDataset(tmp_path / "live")[:8], FRAMES[:8])
    last.write_bytes(kept)
    with FrameWriter(tmp_path / "live") as writer:
        writer.append(FRAMES[10])
    np.testing.assert_array_equal(SplitDataset(tmp_path / "live")[...], FRAMES)


def test_a_damaged_block_behind_all_that_count_is_told_of(tmp_path):
    folder = tmp_path / "live"
    with FrameWriter(folder, block_size=(4, None)) as writer:
        for frame in FRAMES[:8]:
            writer.append(frame)
    stray = folder / "000002.h5"
    stray.write_bytes((folder / "000001.h5").read_bytes()[:-1])
    (damage,) = SplitDataset(folder).verify()
    assert (damage.path, damage.where) == (folder / METADATA, "row 8")
    with pytest.raises(HaversackError, match="move it elsewhere to go on without it"):
        FrameWriter(folder)
    stray.unlink()
    assert SplitDataset(folder).verify() == []
    with FrameWriter(folder) as writer:
        writer.append(FRAMES[8])
    np.testing.assert_array_equal(SplitDataset(folder)[...], FRAMES[:9])
