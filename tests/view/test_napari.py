"""What napari's reader takes, and what it leaves to others; tests/compat shows it in napari."""

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from haversack.errors import FormatError
from haversack.split import save_to_split_dataset
from haversack.view.napari import get_reader, read_layers


def test_what_is_no_image_is_left_to_other_readers(tmp_path):
    save_to_split_dataset(np.ones(9), tmp_path / "line")
    save_to_split_dataset(np.ones((3, 4)), tmp_path / "plane")
    (tmp_path / "empty").mkdir()
    assert get_reader(tmp_path / "plane") is read_layers
    for other in (tmp_path / "line", tmp_path / "empty", "https://host/a.tif", "", []):
        assert get_reader(other) is None
    assert get_reader([str(tmp_path / "plane"), str(tmp_path / "line")]) is None


def test_a_damaged_array_is_told_to_be_one(tmp_path):
    (tmp_path / "stack_metadata.json").write_text("{")
    reader = get_reader(tmp_path)
    assert reader is read_layers
    with pytest.raises(FormatError, match="not valid JSON"):
        reader(tmp_path)


class Registry:
    """As much of pint as the reader asks for."""

    pixel = "pixel"

    def parse_expression(self, word):
        if word not in {"s", "um"}:
            raise AttributeError(word)
        return SimpleNamespace(units=f"<{word}>")


def with_units(data, units=None): ...


def without(data): ...


def module(name, **members):
    made = ModuleType(name)
    vars(made).update(members)
    return made


@pytest.mark.parametrize("takes_units", [True, False])
def test_units_that_are_known_go_to_a_napari_that_takes_them(tmp_path, monkeypatch, takes_units):
    monkeypatch.setitem(sys.modules, "napari", module("napari"))
    layers = module("napari.layers", Image=with_units if takes_units else without)
    monkeypatch.setitem(sys.modules, "napari.layers", layers)
    pint = module("pint", get_application_registry=Registry)
    monkeypatch.setitem(sys.modules, "pint", pint)
    cases: list[Any] = [
        ({"units": "um", "frequency": 10}, ["<s>", "<um>", "<um>"]),
        ({"units": ("furlongs", "um", "9**9**9**9")}, ["pixel", "<um>", "pixel"]),
        ({"units": "furlongs"}, None),
        ({}, None),
    ]
    for number, (about, wanted) in enumerate(cases):
        data = np.ones((2, 3, 4))
        made = save_to_split_dataset(data, tmp_path / f"{number}", axes=("t", "y", "x"), **about)
        [(_, layer, _)] = read_layers(str(made.root))
        assert layer.get("units") == (wanted if takes_units else None)


def test_without_napari_there_are_no_units(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "napari", None)
    made = save_to_split_dataset(np.ones((3, 4)), tmp_path / "made", units="um")
    [(_, layer, _)] = read_layers(str(made.root))
    assert "units" not in layer
