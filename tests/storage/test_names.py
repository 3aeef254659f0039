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
