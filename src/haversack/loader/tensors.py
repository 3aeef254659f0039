"""Turn arrays and batches into tensors, without a copy where torch can use the same memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from haversack.errors import UnsupportedError
from haversack.loader.targets import Target, read_targets

if TYPE_CHECKING:
    from haversack.packed import Batch, PackedDataset


def to_tensor(data: Any) -> Any:
    """Turn an array into a tensor, a structured one into a dict of them, a list into a list.

    Memory is shared where torch can use it; what is read-only, of the other byte order or has
    fields is copied. A dtype never changes otherwise: note that torch computes little with
    ``uint16``, ``uint32`` and ``uint64``; ``.float()`` or ``.to(torch.int32)`` helps.

    Raises
    ------
    UnsupportedError
        torch has no such dtype (dates, text).

    Examples
    --------
    >>> to_tensor(np.arange(3, dtype=">i4"))
    tensor([0, 1, 2], dtype=torch.int32)
    """
    if isinstance(data, list):
        return [to_tensor(array) for array in data]
    if data.dtype.names is not None:
        return {name: to_tensor(data[name]) for name in data.dtype.names}
    try:
        return torch.from_numpy(_usable(data))
    except TypeError as error:
        raise UnsupportedError(
            f"torch has no dtype for {data.dtype}: view or convert such records with "
            "ds.batches(transform=...), or pack them as numbers"
        ) from error


def _usable(array: NDArray[Any]) -> NDArray[Any]:
    native = array.dtype.newbyteorder("=")
    if native != array.dtype:
        array = array.astype(native)
    elif not array.flags.writeable or not array.flags.c_contiguous:
        array = array.copy()
    return array


class Parts:
    """What becomes of a batch: its tensor, then targets and metadata if they were asked for."""

    def __init__(self, dataset: PackedDataset, target: Target | None, metadata: bool) -> None:
        self._dataset, self._metadata = dataset, metadata
        self._targets = None if target is None else read_targets(dataset, target)

    @property
    def single(self) -> bool:
        """Whether there is nothing but the tensor."""
        return self._targets is None and not self._metadata

    def __call__(self, batch: Batch) -> Any:
        """Give the tensor (a list of them where shapes differ), or a tuple of all parts."""
        data = to_tensor(batch.data)
        if self.single:
            return data
        parts = [data]
        if isinstance(self._targets, np.ndarray):
            parts.append(to_tensor(self._targets[batch.indices]))
        elif self._targets is not None:
            parts.append([self._targets[index] for index in batch.indices.tolist()])
        if self._metadata:
            parts.append(self._metadata_of(batch.indices))
        return tuple(parts)

    def _metadata_of(self, indices: NDArray[np.int64]) -> list[dict[Any, Any]]:
        snapshot, positions = self._dataset._snapshot, self._dataset._positions(indices)  # noqa: SLF001
        return [snapshot.metadata(position) for position in positions.tolist()]
