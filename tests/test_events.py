"""Work tells its listener where it stands, to the end."""

import io
import json

import pytest

from haversack.events import Bars, JsonLines, task


def test_a_failing_task_still_ends():
    seen = []
    with pytest.raises(ZeroDivisionError), task(seen.append, "work", total=3) as work:
        work.advance(2)
        raise ZeroDivisionError
    assert [(e.state, e.done) for e in seen] == [("start", 0), ("advance", 2), ("end", 2)]


def test_json_lines_are_one_object_each():
    stream = io.StringIO()
    with task(JsonLines(stream), "work", total=1, unit="B") as work:
        work.advance()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["state"] for line in lines] == ["start", "advance", "end"]
    assert lines[-1] == {"task": "work", "state": "end", "done": 1, "total": 1, "unit": "B"}


def test_bars_go_to_stderr(capsys):
    with task(Bars(), "download assets", total=10) as work:
        work.advance(10)
    out, err = capsys.readouterr()
    assert out == ""
    assert "download assets" in err
    assert "10/10" in err


def test_silence_is_the_default(capsys):
    with task(None, "work") as work:
        work.advance()
    assert capsys.readouterr() == ("", "")
