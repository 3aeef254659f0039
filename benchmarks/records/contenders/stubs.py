"""Stand-ins for packages that a peer imports and does not use where it is measured."""

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import ClassVar


class _Stub(ModuleType):
    """A module in which every name is an empty class."""

    __path__: ClassVar[list[str]] = []

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


def stub(*names: str) -> None:
    """Put modules of these names, and the packages that they lie in, where nothing is imported."""
    for name in names:
        parts = name.split(".")
        for length in range(1, len(parts) + 1):
            whole = ".".join(parts[:length])
            if whole in sys.modules:
                continue
            module = sys.modules[whole] = _Stub(whole)
            module.__spec__ = ModuleSpec(whole, None, is_package=True)
            if length > 1:
                setattr(sys.modules[".".join(parts[: length - 1])], parts[length - 1], module)
