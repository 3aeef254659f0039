"""Every example in a docstring does what it shows."""

import doctest
import pkgutil
from importlib import import_module

import pytest

import haversack

NEEDS = {
    "haversack.loader.mapped": "torch",
    "haversack.loader.streamed": "torch",
    "haversack.loader.tensors": "torch",
    "haversack.split.xarray_backend": "xarray",
}
MODULES = [
    module.name
    for module in pkgutil.walk_packages(haversack.__path__, "haversack.")
    if module.name != "haversack.__main__"
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_docstrings_hold(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    assert doctest.testmod(import_module(name), optionflags=flags).failed == 0
