"""What the disk, or whoever reads what is written, refuses: exit codes, and nothing left behind."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import haversack as library
from haversack.split import save_to_split_dataset

_WITHOUT = "-dac_override,-dac_read_search"
_AS_USER = ("setpriv", f"--inh-caps={_WITHOUT}", f"--bounding-set={_WITHOUT}")


def _process(*arguments, cwd, **streams):
    """Run the command line in a process that permissions hold for."""
    return _python("-m", "haversack", *arguments, cwd=cwd, **streams)


def _python(*arguments, cwd, **streams):
    """Run Python in a process that permissions hold for, be it root's."""
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    if is_root and shutil.which("setpriv") is None:
        pytest.skip("permissions do not hold for root")
    command = [*(_AS_USER if is_root else ()), sys.executable, *arguments]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
    return subprocess.run(command, cwd=cwd, text=True, check=False, timeout=100, **streams)


_EACH = """
import contextlib, io, json, sys
from haversack.cli.main import run

for line in sys.stdin:
    told, shown = io.StringIO(), io.StringIO()
    with contextlib.redirect_stderr(told), contextlib.redirect_stdout(shown):
        code = run(json.loads(line))
    print(json.dumps([code, told.getvalue()]))
"""


def _one_after_the_other(commands, cwd):
    """Run commands in one process that permissions hold for; give their codes and messages."""
    lines = "".join(json.dumps(command) + "\n" for command in commands)
    result = _python("-c", _EACH, cwd=cwd, input=lines)
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture
def place(tmp_path):
    save_to_split_dataset(np.arange(600).reshape(6, 100), tmp_path / "series", (2, None))
    library.pack([(np.arange(3), {})], tmp_path / "packed")
    np.save(tmp_path / "a.npy", np.arange(9))
    return tmp_path


@pytest.mark.parametrize("name", ["series", "packed"])
def test_what_the_disk_does_not_let_verify_read_is_no_damage(place, name):
    hidden, other = (
        (place / "series/0001.h5", place / "series/0002.h5")
        if name == "series"
        else (next(place.glob("packed/chunks/*")), next(place.glob("packed/index/*")))
    )
    hidden.chmod(0)
    result = _process("verify", name, cwd=place)
    assert (result.returncode, hidden.name in result.stdout) == (8, True)
    assert f"{name}: no damage found, 1 not read: the disk refuses" in result.stderr
    data = bytearray(other.read_bytes())
    data[len(data) // 2] ^= 1
    other.write_bytes(data)
    result = _process("verify", name, cwd=place)
    assert result.returncode == 7
    assert f"{name}: 1 damaged, 1 not read: the disk refuses" in result.stderr
    told = json.loads(_process("verify", name, "--json", cwd=place).stdout)
    assert sorted(row.get("refused", False) for row in told) == [False, True]


@pytest.mark.parametrize("name", ["series", "packed", "a.npy"])
def test_a_path_that_cannot_be_read_is_the_disk_refusing_for_every_verb(place, name):
    (place / name).chmod(0)
    verbs = {"info": (), "verify": (), "read": (), "convert": ("new", "--to", "split")}
    if name == "series":
        verbs["view"] = ("--out", "a.png")
    try:
        results = _one_after_the_other([[verb, name, *more] for verb, more in verbs.items()], place)
    finally:
        (place / name).chmod(0o755)
    for verb, (code, told) in zip(verbs, results, strict=True):
        assert (code, name in told, len(told.splitlines())) == (8, True, 1), (verb, told)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
def test_messages_that_nobody_can_read_change_no_exit_code(place):
    (place / "series/0001.h5").write_bytes(b"damaged")
    with open("/dev/full", "w") as full:
        for arguments, code in (
            (("verify", "packed"), 0),
            (("verify", "packed", "--json"), 0),
            (("info", "series"), 0),
            (("verify", "series"), 7),
            (("info", "./nothing"), 3),
            (("no_verb",), 2),
        ):
            assert _process(*arguments, cwd=place, stderr=full).returncode == code, arguments
        for arguments in (("verify", "packed", "--json"), ("info", "series")):
            result = _process(*arguments, cwd=place, stdout=full, stderr=full)
            assert result.returncode == 8, arguments
    closed = _process("verify", "packed", cwd=place, stderr=None, preexec_fn=lambda: os.close(2))
    assert closed.returncode == 0


@pytest.mark.parametrize("there", ["letter", "letter/in", "letter/in/a"])
def test_a_file_in_the_way_of_a_directory_exists_already(haversack, place, there):
    (place / "letter").write_text("mine")
    commands = [
        ("convert", "a.npy", there, "--to", "split"),
        ("convert", "series", f"{there}/a.npy", "--to", "npy"),
        ("read", "series", "0", "--out", f"{there}/a.npy"),
        ("read", "series", "[0,1]", "--out", f"{there}/a.npy"),
        ("read", "packed", "0", "--out", f"{there}/a.npy"),
        ("view", "series", "--out", f"{there}/a.png"),
    ]
    for command in commands:
        if command[0] == "view":
            pytest.importorskip("matplotlib")
        result = haversack(*command)
        assert result.code == 6, (command, result.err)
        assert "letter is a file, where a directory is to be made" in result.err
    assert (place / "letter").read_text() == "mine"


def _commands_that_write(folder):
    return [
        ("convert", "series", f"{folder}/a.npy", "--to", "npy"),
        ("convert", "series", f"{folder}/a.h5", "--to", "hdf5"),
        ("read", "series", "0", "--out", f"{folder}/a.npy"),
        ("read", "series", "[0,1]", "--out", f"{folder}/a.npy"),
        ("read", "packed", "0", "--out", f"{folder}/a.npy"),
        ("view", "series", "--out", f"{folder}/a.png"),
    ]


def test_what_cannot_be_written_leaves_no_directory_made_for_it(haversack, place, monkeypatch):
    pytest.importorskip("matplotlib")
    (place / "old").mkdir()
    before = sorted(map(str, place.rglob("*")))
    with monkeypatch.context() as full:
        full.setattr(library.storage.publish, "claim", _full)
        for folder in ("new", "new/dir", "old/new/dir", "old"):
            for command in _commands_that_write(folder):
                result = haversack(*command)
                assert result.code == 8, (command, result.err)
                assert sorted(map(str, place.rglob("*"))) == before, command
    for number in range(len(_commands_that_write("new"))):
        assert haversack(*_commands_that_write(f"new{number}/dir")[number]).code == 0
        assert len(list(place.glob(f"new{number}/dir/a.*"))) == 1


def _full(temporary, _path):
    temporary.unlink()
    raise OSError(28, os.strerror(28))


@pytest.mark.parametrize("name", ["SIGHUP", "SIGTERM"])
def test_a_signal_that_ends_a_conversion_leaves_nothing_of_the_array(tmp_path, name):
    number = getattr(signal, name, None)
    if number is None:
        pytest.skip(f"no {name} here")
    np.lib.format.open_memmap(tmp_path / "a.npy", "w+", "f8", (60, 512, 1024))
    command = [sys.executable, "-m", "haversack", "convert", "a.npy", "new", "--to", "split"]
    with subprocess.Popen([*command, "--block", "1"], cwd=tmp_path) as child:
        while child.poll() is None and not (tmp_path / "new" / "0000.h5").exists():
            time.sleep(0.001)
        child.send_signal(number)
        assert child.wait(60) == 128 + number
    assert [path.name for path in tmp_path.iterdir()] == ["a.npy"]


_AT_EACH_LINE = """
import os, signal, sys, haversack.cli
main = sys.modules["haversack.cli.main"]
import haversack.convert

place, left = sys.argv[1], int(sys.argv[2])

def count(frame, event, argument):
    global left
    names = ("split/saving.py", "split/writing.py", "split/frames.py", "split/appending.py")
    if not frame.f_code.co_filename.endswith(names):
        return None
    if event == "line" and os.path.isdir("new"):
        left -= 1
        if left == 0:
            sys.settrace(None)
            os.kill(os.getpid(), signal.SIGTERM)
    return count

sys.argv = ["haversack", "convert", place, "new/a/b", "--to", "split"]
sys.settrace(count)
main.main()
"""


@pytest.mark.parametrize("source", ["a.npy", "packed"])
def test_a_signal_at_whatever_line_leaves_no_directory_made_for_a_conversion(place, source):
    before = sorted(map(str, place.rglob("*")))
    for line in (1, 4, 9, 16, 25):
        result = _python("-c", _AT_EACH_LINE, source, str(line), cwd=place)
        assert result.returncode == 143, (line, result.stderr)
        assert sorted(map(str, place.rglob("*"))) == before, line


@pytest.mark.parametrize("source", ["large.npy", "large"])
def test_a_conversion_onto_a_full_disk_leaves_no_directory_made_for_it(place, source):
    resource = pytest.importorskip("resource")
    noise = np.random.default_rng(0).bytes(90_000)
    np.save(place / "large.npy", np.frombuffer(noise, "u1"))
    library.pack([(np.frombuffer(noise, "u1"), {})], place / "large")
    before = sorted(map(str, place.rglob("*")))

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))

    result = _process("convert", source, "new/a/b", "--to", "split", cwd=place, preexec_fn=limit)
    assert result.returncode == 8, result.stderr
    assert sorted(map(str, place.rglob("*"))) == before


def _closed(numbers, *arguments, cwd):
    """Run Python with some of its streams closed, and give its exit code."""
    command = [sys.executable, *arguments]
    with subprocess.Popen(
        command,
        cwd=cwd,
        stdout=subprocess.DEVNULL,
        preexec_fn=lambda: [os.close(number) for number in numbers],  # noqa: PLW1509
    ) as child:
        return child.wait(100)


def test_output_that_has_nowhere_to_go_is_never_told_as_done(place):
    for closed, arguments, code in (
        ((1,), ("info", "series"), 8),
        ((1, 2), ("read", "series", "0", "--json"), 8),
        ((0, 1, 2), ("info", "packed"), 8),
        ((1,), ("verify", "series"), 0),  # which has nothing to say
        ((0, 2), ("info", "series"), 0),
    ):
        assert _closed(closed, "-m", "haversack", *arguments, cwd=place) == code, arguments


def test_no_file_gets_the_number_of_a_stream_that_is_closed(place):
    program = (
        "import os, sys, haversack.cli; main = sys.modules['haversack.cli.main'];"
        "main.run = lambda _: 0 if os.open('a.npy', os.O_RDONLY) > 2 else 1; main.main()"
    )
    for closed in ((0,), (0, 2), (0, 1, 2)):
        assert _closed(closed, "-c", program, cwd=place) == 0, closed


@pytest.mark.parametrize("name", ["SIGINT", "SIGHUP", "SIGTERM"])
def test_a_signal_that_finds_python_finalizing_an_object_is_heard_all_the_same(place, name):
    number = getattr(signal, name, None)
    if number is None:
        pytest.skip(f"no {name} here")
    program = f"""
import os, signal, sys, time, haversack.cli
main = sys.modules["haversack.cli.main"]

class Thing:
    def __del__(self):
        os.kill(os.getpid(), {int(number)})

main.cli.main = lambda *_, **options: (type(Thing()), time.sleep(20))
main.main()
"""
    result = _python("-c", program, cwd=place)
    assert (result.returncode, "ignored" in result.stderr) == (128 + number, False), result.stderr


def test_a_command_under_nohup_goes_on_when_the_terminal_closes(place):
    if not hasattr(signal, "SIGHUP"):
        pytest.skip("no SIGHUP here")
    program = (
        "import os, signal, sys, haversack.cli; main = sys.modules['haversack.cli.main'];"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN);"
        "main.run = lambda _: os.kill(os.getpid(), signal.SIGHUP) or 7; main.main()"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=place, check=False).returncode == 7
