"""haversack's own loader as an iterable torch dataset: whole batches, filled by threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import IterableDataset, get_worker_info

from haversack.errors import UsageError
from haversack.loader.targets import Target
from haversack.loader.tensors import Parts

if TYPE_CHECKING:
    from haversack.packed import Batch, PackedDataset


class TorchIterable(IterableDataset):
    """The batches of ``dataset.batches(size, ...)`` as tensors.

    Iterate over it, or give it to ``DataLoader(batches, batch_size=None)``. It needs no workers:
    its threads fill batches while the model works. Workers, if there are any, share the batches of
    the rank, which come in the same order.

    Each iteration is the next epoch; ``set_epoch`` chooses one. It reaches persistent workers too.
    Where workers live for one epoch they cannot count: until ``set_epoch`` was called, they take
    the seed that torch draws for each epoch in its place; with several ranks, which must agree,
    call it before each epoch, as for a DistributedSampler.

    Parameters
    ----------
    dataset, size
        A packed dataset and the records in a batch.
    target
        A metadata key, or a function of a record's metadata; read for all records now. Batches are
        tuples then: the tensor and the targets.
    metadata
        Add the records' metadata, a list of dicts.
    transform
        Called in the threads with what would be drawn; what it gives is drawn instead.
    rank, world
        By default those of ``torch.distributed``, if that is initialized.
    options
        Of :meth:`PackedDataset.batches`.

    Examples
    --------
    >>> import numpy as np
    >>> from haversack.packed import pack
    >>> ds = pack([(np.full(2, n), {"label": n % 2}) for n in range(5)], "five")
    >>> for data, labels in TorchIterable(ds, 3, target="label"):
    ...     print(data.tolist(), labels.tolist())
    [[0, 0], [1, 1], [2, 2]] [0, 1, 0]
    [[3, 3], [4, 4]] [1, 0]
    """

    def __init__(
        self,
        dataset: PackedDataset,
        size: int,
        *,
        target: Target | None = None,
        metadata: bool = False,
        transform: Callable[[Any], Any] | None = None,
        rank: int | None = None,
        world: int | None = None,
        **options: Any,
    ) -> None:
        if (rank is None) != (world is None):
            raise UsageError("rank and world go together")
        if rank is None:
            rank, world = _distributed()
        parts = Parts(dataset[:], target, metadata)
        # Making tensors costs nothing; what may cost something is done in the threads.
        in_threads = transform is not None or metadata
        self._step = None if in_threads else parts
        step = _Step(parts, transform) if in_threads else None
        options |= {"rank": rank, "world": world, "transform": step}
        self.loader = dataset.batches(size, **options)
        self._alone = world == 1
        # What workers read, persistent ones too: an epoch, and how often it was chosen.
        self._chosen = torch.tensor([self.loader.epoch, 0]).share_memory_()
        self._followed, self._process = 0, os.getpid()

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Any]:
        """Begin an epoch."""
        worker = get_worker_info()
        self._catch_up(worker)
        loader = self.loader
        batches = iter(loader) if worker is None else loader.share(worker.id, worker.num_workers)
        return batches if self._step is None else map(self._step, batches)

    def _catch_up(self, worker: Any) -> None:
        (epoch, times), fresh = self._chosen.tolist(), self._process != os.getpid()
        if times != self._followed:
            self.loader.set_epoch(epoch)
        elif worker is not None and fresh and self._alone:
            self.loader.set_epoch(worker.seed - worker.id)
        self._followed, self._process = times, os.getpid()

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration gives, here and in workers."""
        self._chosen[0] = epoch
        self._chosen[1] += 1

    def state_dict(self) -> dict[str, Any]:
        """Say which batches were delivered by this process; see :meth:`Loader.state_dict`.

        Workers are other processes, whose states torchdata's StatefulDataLoader gathers.
        """
        return self.loader.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where ``state_dict`` was asked for."""
        self.loader.load_state_dict(state)
        self.set_epoch(self.loader.epoch)


class _Step:
    """What is done with each batch, in the loader's threads."""

    def __init__(self, parts: Parts, transform: Callable[[Any], Any] | None) -> None:
        self._parts, self._transform = parts, transform

    def __call__(self, batch: Batch) -> Any:
        parts = self._parts(batch)
        return parts if self._transform is None else self._transform(parts)


def _distributed() -> tuple[int, int]:
    distributed = torch.distributed
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1
