"""The model of the disk and the tracer, on small programs with planted faults."""

import mmap
import os
import random
from functools import partial

import pytest

from .power import Disk, File, cuts
from .tracer import Fault, NotModelledError, run


def saved(path, leave_out=""):
    """Save two files, each under a temporary name first, and say so."""
    for name in ("a", "b"):
        temporary, final = path / f".{name}", path / name
        file = os.open(temporary, os.O_WRONLY | os.O_CREAT)
        os.write(file, name.encode() * 8)
        if leave_out != "file":
            os.fsync(file)
        os.close(file)
        os.rename(temporary, final)
        if leave_out != "directory":
            sync(path)
        os.write(1, f"ACK {name}".encode())


def appended(path, leave_out=""):
    """Append two lines to one file, and say of each that it is there."""
    file = os.open(path / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    sync(path)
    for name in "ab":
        os.write(file, name.encode() * 8)
        if leave_out != "file":
            os.fdatasync(file)
        os.write(1, f"ACK {name}".encode())


def sync(path):
    folder = os.open(path, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def lost(files, said):
    """List what was acknowledged and is not there."""
    there = b"".join(data for name, data in files.items() if not name.startswith("."))
    return [text for _, text in said if text[-1].encode() * 8 not in there]


def states_of(program, path, **options):
    disk = Disk(path)
    return list(cuts(disk, run([partial(program, path)], path).calls, **options))


@pytest.mark.parametrize("program", [saved, appended])
@pytest.mark.parametrize("leave_out", ["", "file", "directory"])
def test_exactly_the_missing_syncs_lose_what_was_acknowledged(tmp_path, program, leave_out):
    states = states_of(partial(program, leave_out=leave_out), tmp_path)
    missing = bool(leave_out) and (program is saved or leave_out == "file")
    assert any(lost(*state) for state in states) == missing
    assert any(not lost(*state) for state in states)


@pytest.mark.parametrize("program", [saved, appended])
def test_a_sync_that_the_model_leaves_out_is_as_one_that_the_program_does(tmp_path, program):
    states = states_of(program, tmp_path, left_out=lambda call: True)
    assert any(lost(*state) for state in states)


def test_writes_land_in_part_out_of_order_or_as_length_alone():
    file = File(b"base")
    file.write(4, b"1111")
    file.write(8, b"2222")
    images = file.images()
    assert {b"base", b"base1111", b"base11", b"base11112222", b"base\0\0\0\x002222"} <= set(images)
    assert b"base" + bytes(8) in images
    assert any(len(image) == 12 and image[4:8] not in {b"1111", bytes(4)} for image in images)
    file.sync()
    assert file.images() == [b"base11112222"]


def test_what_a_sync_failed_to_write_stays_unsure():
    file = File()
    file.write(0, b"1111")
    file.fail_to_sync()
    file.write(4, b"2222")
    file.sync()
    assert {b"\0\0\0\x002222", b"11112222"} <= set(file.images())


def left_by(program, path):
    """Give what a power cut at the end leaves, which is one thing where all was synced."""
    disk = Disk(path)
    for call in run([partial(program, path)], path).calls:
        disk.apply(call)
    [state] = disk.states(random.Random(0))
    return state


def moved(path):
    os.mkdir(path / "d")
    os.close(os.open(path / "d/a", os.O_WRONLY | os.O_CREAT))
    os.link(path / "d/a", path / "b")
    folder = os.open(path / "d", os.O_RDONLY)
    os.unlink("a", dir_fd=folder)
    os.ftruncate(copy := os.dup(os.open(path / "b", os.O_WRONLY)), 7)
    os.pwrite(copy, b"xy", 2)
    os.rmdir(path / "d")
    os.fsync(copy)
    sync(path)


def test_links_truncation_and_calls_through_copied_descriptors_are_followed(tmp_path):
    assert left_by(moved, tmp_path) == {"b": b"\0\0xy\0\0\0"}


def forked(path):
    file = os.open(path / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    if (child := os.fork()) == 0:
        os.write(file, b"child")
        os._exit(0)
    os.waitpid(child, 0)
    os.write(file, b"parent")
    os.fsync(file)
    sync(path)


def test_children_are_followed(tmp_path):
    assert left_by(forked, tmp_path) == {"log": b"childparent"}


def mapped(path):
    with open(path / "a", "w+b") as file:
        file.truncate(4096)
        mmap.mmap(file.fileno(), 0)


def gathered(path):
    os.writev(os.open(path / "a", os.O_WRONLY | os.O_CREAT), [b"a", b"b"])


@pytest.mark.parametrize("program", [mapped, gathered])
def test_a_call_that_is_not_modelled_fails(tmp_path, program):
    with pytest.raises(NotModelledError, match="power.py"):
        run([partial(program, tmp_path)], tmp_path)


@pytest.mark.parametrize("at", range(12))
def test_a_kill_comes_before_its_call(tmp_path, at):
    done = run([partial(saved, tmp_path)], tmp_path, Fault("kill", at))
    assert done.ends == {0: -9}
    assert len(done.calls) == at
    assert ("b" in os.listdir(tmp_path)) == (at > 9)


@pytest.mark.parametrize(
    ("kind", "content"), [("ENOSPC", ""), ("short", "aaaa"), ("late EIO", "a" * 8)]
)
def test_a_write_fails_falls_short_or_fails_although_it_was_made(tmp_path, kind, content):
    done = run([partial(saved, tmp_path)], tmp_path, Fault(kind, 0 if kind == "short" else 1))
    assert done.struck.name == "write"
    assert ("ERROR" in done.said[0][1]) == (kind != "short")
    assert (tmp_path / ("a" if kind == "short" else ".a")).read_text() == content


def writes(path, text):
    file = os.open(path / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for _ in range(3):
        os.write(file, text)


def test_one_that_is_held_comes_last(tmp_path):
    programs = [partial(writes, tmp_path, b"a"), partial(writes, tmp_path, b"b")]
    run(programs, tmp_path, Fault("hold", 2, writer=0))
    assert (tmp_path / "log").read_bytes() in {b"abbbaa", b"babbaa", b"bbabaa", b"bbbaaa"}
