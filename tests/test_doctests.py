"""Every example in a docstring does what it shows."""

import doctest
import pkgutil
from importlib import import_module

import pytest

import haversack

NEED_TORCH = {"haversack.loader.mapped", "haversack.loader.streamed", "haversack.loader.tensors"}
MODULES = [
    pytest.param(module.name, marks=[pytest.mark.torch] if module.name in NEED_TORCH else [])
    for module in pkgutil.walk_packages(haversack.__path__, "haversack.")
    if module.name != "haversack.__main__"
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_docstrings_hold(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    assert doctest.testmod(import_module(name), optionflags=flags).failed == 0
