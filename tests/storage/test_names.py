"""No text becomes a path, and no two texts become one name."""

import unicodedata
from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haversack.storage.names import component, fold

HOSTILE = [
    "", ".", "..", "...", "../../x", "a/b", "a\\b", "C:\\x", "CON", "con.txt", "nul", "a\0b",
    "trailing.", "trailing ", "%", "%2E", "x" * 5000, "é" * 300, "\ud800", "a:b", "~", "-rf",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_one_component(text, tmp_path):
    _assert_one_component(component(text))
    (tmp_path / component(text)).write_bytes(b"")
    assert len(list(tmp_path.iterdir())) == 1


@given(st.text())
def test_any_text_stays_one_component(text):
    _assert_one_component(component(text))


@given(st.text(max_size=8, alphabet="aA./%\\~2EF \0"), st.text(max_size=8, alphabet="aA./%2EF \0"))
def test_different_texts_have_different_names(one, other):
    assert (component(one) == component(other)) == (one == other)


LONG = st.tuples(
    st.sampled_from(["k", "é", "a/", "x.", "\ud800"]),
    st.integers(150, 260),
    st.text(alphabet="aA.%/é ", max_size=3),
    st.sampled_from([".tif", ".TIF", ".json", ".é", ".a b", ".x%", ".ti ", "." + "y" * 40]),
).map(lambda given: (given[0] * given[1] + given[2], given[3]))


@given(LONG, LONG)
def test_long_texts_keep_their_suffixes_and_never_become_one_name(one, other):
    first, second = component(*one), component(*other)
    _assert_one_component(first)
    assert len(first.encode()) <= 200
    assert (first == second) == ("".join(one) == "".join(other))
    if len(one[1]) <= 10:
        assert first.endswith(component(f"x{one[1]}")[1:])


@given(st.text(max_size=40), st.sampled_from(["", ".tif", ".a/b", ".\udc80", ". "]))
def test_a_suffix_is_part_of_the_text_and_changes_no_ordinary_name(text, suffix):
    name = component(text, suffix)
    _assert_one_component(name)
    if "%~" not in name:
        assert name == component(text + suffix)


DEVICES = ["CON", "prn", "Aux", "nul", "CONIN$", "conout$", "COM0", "com9", "LPT1"]
DEVICES += [f"{port}{digit}" for port in ("COM", "lpt") for digit in "¹²³"]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    "rest", ["", " ", ".", ".txt", ".tar.gz", " .txt", "   .txt", " . ", ". .a"]
)
def test_no_name_is_a_device_of_windows(device, rest):
    name = component(device + rest)
    # What Windows looks at: all before the first dot, without the spaces at its end.
    assert name.partition(".")[0].rstrip(" ").upper() not in {one.upper() for one in DEVICES}
    assert component(device, rest) == name
    _assert_one_component(name)


@pytest.mark.parametrize("text", ["CONIN", "console", "COM10", "com1a.txt", "x CON .txt", "$CON"])
def test_what_only_resembles_a_device_keeps_its_name(text):
    assert component(text) == text


def test_hostile_texts_have_different_names():
    assert len({component(text) for text in HOSTILE}) == len(HOSTILE)


@given(st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_ .\-]{0,50}[A-Za-z0-9_]", fullmatch=True))
def test_ordinary_names_stay_as_they_are(text):
    if not PureWindowsPath(text).is_reserved():
        assert component(text) == text


def test_fold_finds_names_that_a_file_system_confuses():
    assert fold("Straße") == fold("STRASSE")
    assert fold(unicodedata.normalize("NFD", "é")) == fold("É")
    assert fold("a") != fold("b")


def _assert_one_component(name):
    assert 0 < len(name.encode()) <= 255
    assert PurePosixPath(name).parts == (name,)
    assert PureWindowsPath(name).parts == (name,)
    assert name not in {".", ".."}
    assert not PureWindowsPath(name).is_reserved()
    assert name[-1] not in ". "
    assert "\0" not in name
