"""The demo runs to its end, says what it does, and leaves nothing when it is interrupted."""

import os
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from haversack.convert import read_image
from haversack.demo import run
from haversack.errors import ExistsError, MissingExtraError, StorageError
from haversack.packed import open_packed

for name in ("rasterio", "matplotlib", "starlette", "uvicorn"):
    pytest.importorskip(name)


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """Where temporary directories go, to see that none is left."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    return place


@pytest.fixture
def nothing_runs_on():
    """Fail when a thread that the test started outlives it."""
    before = set(threading.enumerate())
    yield
    after = set(threading.enumerate()) - before
    assert [thread.name for thread in after if thread.name.startswith("haversack")] == []


def small_run(output, lines, **how):
    run(output, small=True, seconds=0.05, echo=lines.append, **{"progress": None, **how})


@pytest.mark.usefixtures("nothing_runs_on")
def test_it_runs_to_the_end_and_leaves_only_pictures(tmp_path, temporary):
    lines, output = [], tmp_path / "out"
    small_run(output, lines)
    phases = [line.split("]")[1].split()[0] for line in lines if line.startswith("[")]
    assert phases == ["1/6", "2/6", "3/6", "4/6", "5/6", "6/6"]
    text = "\n".join(lines)
    assert "a wrong key is refused" in text
    assert "with the tag 'segmentation': demo_crop_seasons, demo_flood_events" in text
    assert "with the text 'river': demo_flood_events" in text
    assert "the same again: 0 fetched" in text
    assert "records/s" in text
    assert "places that it never saw" in text
    assert sorted(path.name for path in output.iterdir()) == ["contact_sheet.png", "footprints.png"]
    assert read_image(output / "contact_sheet.png").shape[2] == 1600
    assert list(temporary.iterdir()) == []


def test_what_is_kept_can_be_used_and_is_not_overwritten(tmp_path):
    lines, keep = [], tmp_path / "kept"
    small_run(tmp_path / "out", lines, keep=keep)
    with open_packed(keep / "packed") as packed:
        assert len(packed.filter("asset = 'labels'")) == 4
    assert (keep / "hub" / "demo_flood_events" / "catalog.json").exists()
    assert (keep / "download" / "demo_crop_seasons" / "catalog.json").exists()
    assert any(f"haversack serve {keep / 'hub'}" in line for line in lines)
    with pytest.raises(ExistsError, match="is there from before"):
        small_run(tmp_path / "out", [], keep=keep)


def test_assets_and_files_are_counted_as_the_bars_count_them(tmp_path):
    lines, seen = [], []
    small_run(tmp_path / "out", lines, progress=seen.append)
    totals = {event.task: event.done for event in seen if event.state == "end"}
    text = "\n".join(lines)
    assert f" {totals['make hub']} assets, a file each" in text
    assert f"in {totals['download assets']} files: an asset that items share" in text


def test_the_next_commands_can_be_pasted_whatever_the_path(tmp_path):
    lines, keep = [], tmp_path / "it's kept"
    small_run(tmp_path / "out", lines, keep=keep)
    commands = [shlex.split(line) for line in lines if line.startswith("  haversack")]
    assert [words[1] for words in commands] == ["info", "read", "serve"]
    assert [Path(words[2]).is_dir() for words in commands] == [True] * 3


def test_pictures_of_an_earlier_run_are_not_named(tmp_path, temporary):
    assert temporary.exists()
    output = tmp_path / "out"
    output.mkdir()
    (output / "contact_sheet.png").write_bytes(b"of before")
    for moment, count in (("2/6", 0), ("contact_sheet.png", 1)):
        stop = Interrupter(moment)
        with pytest.raises(KeyboardInterrupt):
            run(output, small=True, seconds=0.05, echo=stop.echo, progress=None)
        told = [line for line in stop.lines if line.startswith("Pictures: ")]
        assert len(told) == count
        assert not any("footprints" in line for line in told)


@pytest.mark.parametrize("name", ["file", "file/below"])
@pytest.mark.parametrize("which", ["output", "keep"])
def test_a_place_that_is_a_file_is_refused_before_anything_is_done(tmp_path, which, name):
    (tmp_path / "file").write_bytes(b"mine")
    places = {"output": tmp_path / "out", "keep": tmp_path / "kept"} | {which: tmp_path / name}
    lines = []
    with pytest.raises(ExistsError, match="file is no directory"):
        small_run(places["output"], lines, keep=places["keep"])
    assert not any("1/6" in line for line in lines)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_place_that_cannot_be_written_is_refused_before_anything_is_done(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda place, _: place != tmp_path)  # root may write anywhere
    lines = []
    with pytest.raises(StorageError, match="nothing can be written"):
        small_run(tmp_path / "out", lines)
    assert lines == []


def test_data_is_not_kept_among_other_things(tmp_path):
    (tmp_path / "mine.txt").write_bytes(b"mine")
    with pytest.raises(ExistsError, match=r"mine.txt is there from before"):
        small_run(tmp_path / "out", [], keep=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_what_the_user_has_set_for_other_hubs_plays_no_part(tmp_path, monkeypatch):
    dead = "http://127.0.0.1:9"
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, dead)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("MLHUB_ROOT_URL", dead)
    monkeypatch.setenv("MLHUB_API_KEY", "another")
    monkeypatch.setenv("MLHUB_PROFILE", "nobody")
    monkeypatch.setenv("MLHUB_HOME", str(tmp_path / "nowhere"))
    lines = []
    small_run(tmp_path / "out", lines)
    assert lines[-1].startswith("Next")


def test_a_missing_extra_is_named_before_anything_is_done(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    lines = []
    with pytest.raises(MissingExtraError, match=r"matplotlib: pip install 'haversack\[server"):
        small_run(tmp_path / "out", lines)
    assert lines == []


class Interrupter:
    """Press Ctrl-C when something is said or done for the n-th time."""

    def __init__(self, wanted, count=1):
        self.wanted, self.count, self.lines = wanted, count, []

    def hear(self, what):
        if self.wanted in what:
            self.count -= 1
            if self.count == 0:
                signal.raise_signal(signal.SIGINT)

    def echo(self, line):
        self.lines.append(line)
        self.hear(line)

    def progress(self, event):
        self.hear(f"{event.task} {event.state}")


@pytest.mark.usefixtures("nothing_runs_on")
@pytest.mark.parametrize(
    ("moment", "count", "kept"),
    [
        ("1/6", 1, True),
        ("make hub advance", 20, False),
        ("2/6", 1, False),
        ("with the tag", 1, True),
        ("download assets advance", 3, False),
        ("download assets advance", 3, True),
        ("pack advance", 3, True),
        ("pack advance", 3, False),
        ("5/6", 1, True),
        ("softmax", 1, False),
        ("contact_sheet.png", 1, True),
    ],
)
def test_ctrl_c_leaves_nothing_running_and_says_what_was_kept(
    tmp_path, temporary, moment, count, kept
):
    keep, stop = tmp_path / "kept", Interrupter(moment, count)
    with pytest.raises(KeyboardInterrupt):
        run(
            tmp_path / "out",
            keep=keep if kept else None,
            small=True,
            seconds=0.05,
            echo=stop.echo,
            progress=stop.progress,
        )
    assert list(temporary.iterdir()) == []
    text = "\n".join(stop.lines)
    assert "Interrupted" in text
    told = [line for line in stop.lines if line.startswith("Kept: ")]
    assert len(told) == 1
    if not kept:
        assert "it was temporary" in told[0]
    for name in ("hub", "packed"):
        assert (str(keep / name) in told[0]) == (keep / name).exists()


@pytest.mark.parametrize("phase", ["1/6", "3/6", "5/6"])
def test_a_process_that_is_interrupted_ends(tmp_path, phase):
    code = f"from haversack.demo import run; run({str(tmp_path / 'out')!r}, small=True, seconds=30)"
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"TMPDIR": str(tmp_path), "HOME": str(tmp_path), "PATH": ""},
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        heard = ""
        while phase not in heard:
            heard += process.stdout.readline()
        process.send_signal(signal.SIGINT)
        heard += process.stdout.read()
        errors = process.stderr.read()
    assert "Interrupted" in heard, errors
    assert "KeyboardInterrupt" in errors.splitlines()[-1]
    assert [path.name for path in tmp_path.glob("haversack-demo-*")] == []
