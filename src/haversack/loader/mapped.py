"""A packed dataset as a map-style torch dataset, read a batch at a time."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from haversack.loader.targets import Target
from haversack.loader.tensors import Parts
from haversack.packed import Batch

if TYPE_CHECKING:
    from haversack.packed import PackedDataset


class TorchDataset(Dataset):
    """The records of a packed dataset as samples.

    A sample is a tensor of its own, or a tuple of it with its target, its metadata or both. It
    works in any DataLoader: workers forked or spawned, persistent or not, any sampler, Subset. A
    DataLoader asks for a batch at once (``__getitems__``); ``collate_fn=haversack.loader.collate``
    takes it as it was read, the default one stacks it again. An index that is a list, as a
    BatchSampler in the place of a sampler gives it, gives the batch itself.

    Parameters
    ----------
    dataset
        A packed dataset, or a selection of one.
    target
        A metadata key, or a function of a record's metadata; read for all records now.
    metadata
        Add each record's metadata, a dict.
    transform
        Called with each record's tensor.

    Examples
    --------
    >>> from haversack.packed import pack
    >>> ds = pack([(np.full(2, n), {"label": n % 2}) for n in range(5)], "five")
    >>> samples = TorchDataset(ds, target="label")
    >>> len(samples), samples[3]
    (5, (tensor([3, 3]), tensor(1)))
    >>> samples[[4, 0]]
    (tensor([[4, 4],
            [0, 0]]), tensor([0, 0]))
    """

    def __init__(
        self,
        dataset: PackedDataset,
        *,
        target: Target | None = None,
        metadata: bool = False,
        transform: Callable[[Any], Any] | None = None,
    ) -> None:
        self.dataset, self.transform = dataset[:], transform
        self._parts = Parts(self.dataset, target, metadata)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: Any) -> Any:
        """Give a sample, or for a list of indices a batch."""
        try:
            index = operator.index(index)
        except TypeError:
            return collate(self.__getitems__(index))
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> Samples:
        """Give several samples, read at once."""
        chosen = _chosen(indices, len(self))
        batch = self._parts(Batch(self.dataset.take(chosen), chosen, self.dataset))
        samples = _samples(batch, len(chosen), single=self._parts.single)
        if self.transform is None:
            return Samples(samples, batch)
        if self._parts.single:
            return Samples([self.transform(data) for data in samples], None)
        return Samples([(self.transform(data), *others) for data, *others in samples], None)


def _chosen(indices: Any, count: int) -> NDArray[np.int64]:
    if isinstance(indices, slice):
        return np.arange(*indices.indices(count))
    given = np.asarray(indices)
    return np.flatnonzero(given) if given.dtype == bool else given.astype(np.int64)


class Samples(list[Any]):
    """A list of samples that knows the batch that they were cut from, if there is one."""

    def __init__(self, samples: list[Any], batch: Any) -> None:
        super().__init__(samples)
        self.batch = batch


def _samples(batch: Any, count: int, *, single: bool) -> list[Any]:
    if single:
        return _cut(batch, count)
    return list(zip(*(_cut(part, count) for part in batch), strict=True))


def _cut(part: Any, count: int) -> list[Any]:
    if isinstance(part, dict):  # of the fields of a structured dtype
        cut = {name: _cut(field, count) for name, field in part.items()}
        return [{name: cut[name][at] for name in cut} for at in range(count)]
    return part if isinstance(part, list) else list(part.unbind(0))


def collate(samples: Sequence[Any]) -> Any:
    """Make a batch of samples: for ``DataLoader(collate_fn=...)``.

    What a TorchDataset has read at once is taken as it is, without a copy. Otherwise tensors of one
    shape are stacked, numbers become a tensor; the rest (tensors of several shapes, text, metadata)
    stays a list.

    Examples
    --------
    >>> collate([(torch.zeros(2), 1), (torch.zeros(3), 2)])
    ([tensor([0., 0.]), tensor([0., 0., 0.])], tensor([1, 2]))
    """
    whole = getattr(samples, "batch", None)
    return _collated(list(samples)) if whole is None else whole


def _collated(values: list[Any]) -> Any:
    first = values[0] if values else None
    if isinstance(first, tuple):
        return tuple(_collated(list(part)) for part in zip(*values, strict=True))
    if isinstance(first, torch.Tensor):
        alike = len({(value.shape, value.dtype) for value in values}) == 1
        return torch.stack(values) if alike else values
    if isinstance(first, dict) and _all_tensors(first):
        return {name: _collated([value[name] for value in values]) for name in first}
    if first is not None and {type(value) for value in values} <= {bool, int, float}:
        return torch.tensor(values)
    return values


def _all_tensors(fields: dict[Any, Any]) -> bool:
    return bool(fields) and all(isinstance(field, torch.Tensor) for field in fields.values())
