"""Floor 4: packed datasets as torch takes them. torch is imported when a name is first used.

``TorchDataset`` is map-style, ``TorchIterable`` draws whole batches by haversack's own threads.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from haversack.errors import MissingExtraError

if TYPE_CHECKING:
    from haversack.loader.mapped import TorchDataset, collate
    from haversack.loader.streamed import TorchIterable
    from haversack.loader.tensors import to_tensor

__all__ = ["TorchDataset", "TorchIterable", "collate", "to_tensor"]

_WHERE = {
    "TorchDataset": "mapped",
    "TorchIterable": "streamed",
    "collate": "mapped",
    "to_tensor": "tensors",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        value = getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingExtraError(f"{name} needs torch: pip install torch") from error
    globals()[name] = value
    return value
