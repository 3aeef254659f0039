"""Draw batches: in order or shuffled, dealt to ranks, filled ahead by threads, resumable."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from haversack.errors import UsageError
from haversack.packed.batches import ahead, filling
from haversack.packed.batches.buffers import Buffers
from haversack.packed.batches.dealing import Dealing, Order, integer
from haversack.packed.batches.shuffle import Numbers, Windows
from haversack.packed.reading.records import Batch

if TYPE_CHECKING:
    from haversack.packed.dataset import PackedDataset

Shuffle = bool | Literal["window"]
_FORMAT = 2  # of states; 1 was of other shuffled orders
_BLOCK_BYTES = 1 << 20  # of neighbours that are read together
_BLOCKS = 256  # in a window
_FEWEST_BLOCKS = 16


@dataclass(slots=True)
class _Place:
    """Where an epoch stands.

    Its first ``batches`` were delivered, and of those behind them ``given`` of the share of one
    worker.
    """

    epoch: int
    batches: int
    worker: int = 0
    workers: int = 1
    given: int = 0

    def plain(self) -> dict[str, Any]:
        if self.workers == 1:
            return {"epoch": self.epoch, "batches": self.batches + self.given}
        share = [self.worker, self.workers, self.given]
        return {"epoch": self.epoch, "batches": self.batches, "share": share}


class Loader:
    """The batches of a dataset, epoch after epoch; made by :meth:`PackedDataset.batches`.

    Each iteration is an epoch: the first is ``epoch``, each further one the next, whether the one
    before came to its end or not. ``set_epoch`` chooses another. ``len`` counts the batches of an
    epoch (of this rank). ``next(loader)`` works too, through the epoch that it begins.

    It holds the dataset as it was: ``refresh()`` of that one changes nothing here. Pickled, it is
    the loader where it stands; threads and memory are not taken along.

    Examples
    --------
    >>> from haversack.packed import pack
    >>> ds = pack([(np.arange(3) + i, {}) for i in range(10)], "tens")
    >>> loader = ds.batches(4, shuffle=True, seed=7)
    >>> len(loader)
    3
    >>> batches = iter(loader)
    >>> first, state = next(batches), loader.state_dict()
    >>> again = ds.batches(4, shuffle=True, seed=7)
    >>> again.load_state_dict(state)
    >>> [b.indices.tolist() for b in again] == [b.indices.tolist() for b in batches]
    True
    """

    def __init__(
        self,
        dataset: PackedDataset,
        dealing: Dealing,
        *,
        epoch: int,
        threads: int | None,
        prefetch: int | None,
        transform: Callable[[Batch], Any] | None,
    ) -> None:
        self.dataset, self._dealing = dataset, dealing
        self._next = _Place(integer("epoch", epoch), 0)
        self._now: _Place | None = None
        self._running: Iterator[Any] | None = None
        self._transform = transform
        self._threads = None if threads is None else integer("threads", threads, 0)
        self._prefetch = None if prefetch is None else integer("prefetch", prefetch, 0)
        self._layout: filling.Layout | None = None
        self._buffers: Buffers | None = None

    def __len__(self) -> int:
        return len(self._dealing)

    # Iterating.

    def __iter__(self) -> Iterator[Any]:
        """Begin an epoch; one that ``next`` has begun goes on."""
        if self._running is not None:
            running, self._running = self._running, None
            return running
        return self.share(0, 1)

    def __next__(self) -> Any:
        if self._running is None:
            self._running = self.share(0, 1)
        try:
            return next(self._running)
        except BaseException:
            self._running = None
            raise

    def share(self, worker: int, workers: int) -> Iterator[Any]:
        """Begin an epoch, but give only each ``workers``-th of its batches, from ``worker`` on.

        What several processes so give in turn is what one would give.
        """
        place = replace(self._next)
        if not place.given:
            place.worker, place.workers = worker, workers
        elif (place.worker, place.workers) != (worker, workers):
            raise UsageError(
                f"the epoch was begun by worker {place.worker} of {place.workers}, which only that "
                f"one can go on with, not {worker} of {workers}"
            )
        self._next, self._now = _Place(place.epoch + 1, 0), place
        return self._epoch(place, range(len(self))[place.batches :][worker::workers][place.given :])

    def _epoch(self, place: _Place, numbers: range) -> Iterator[Any]:
        # The loader must not hold this generator, nor it the threads: dropping it ends them.
        order = self._dealing.order(place.epoch)
        filler = self._filler(order, numbers, place.workers)
        blocks = self._dealing.blocks(order, numbers, filler.whole)
        reader = ahead.Reader(self.dataset, order) if isinstance(order, Windows) else None
        for batch in filler.fill(ahead.reading(reader, blocks)):
            place.given += 1
            yield batch
        if self._now is place:
            self._now = None

    def _filler(self, order: Order, numbers: range, workers: int) -> filling.Filler:
        size, threads = self._dealing.size, self._threads
        if self._layout is None and numbers:
            places = self._dealing.places(numbers[:1])
            self._layout = filling.first_layout(self.dataset, order.at(places[:1]))
        if threads is None:
            threads = filling.threads_that_help(self._layout, _processors() // workers)
        transformed = self._transform is not None
        whole = filling.batches_of_a_group(self._layout, size, transformed)
        ahead_ = filling.groups_ahead(self._layout, size, threads, transformed)
        if self._prefetch is not None:
            ahead_ = -(-self._prefetch // whole)
        if self._buffers is None:
            self._buffers = Buffers(ahead_ + 2)
        return filling.Filler(
            self.dataset, size, threads, ahead_, whole, self._transform, self._buffers, self._layout
        )

    def close(self) -> None:
        """End the epoch that ``next`` has begun, and let go of memory kept for batches."""
        self._running, self._buffers = None, None

    # Where it stands.

    @property
    def epoch(self) -> int:
        """The epoch that is under way, or else the next one."""
        return (self._now or self._next).epoch

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration gives, from its beginning.

        Where that is the epoch that ``load_state_dict`` came back to, it goes on there.
        """
        epoch = integer("epoch", epoch)
        self._now = self._running = None
        if epoch != self._next.epoch:
            self._next = _Place(epoch, 0)

    def state_dict(self) -> dict[str, Any]:
        """Say in plain values (JSON) which batches were delivered, prefetched ones not counted.

        It tells of the iteration that was begun last.
        """
        place = self._now or self._next
        return {**self._identity, **place.plain()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where a loader stood: the next iteration gives the rest of its epoch.

        Raises
        ------
        UsageError
            It was another loader's: of another dataset, version, selection, batch size, order, rank
            or number of ranks. ``open_snapshot(path, state["snapshot"])`` opens the version.
        """
        differing = [
            f"{name} is {_short(mine)} here and {_short(state.get(name))} there"
            for name, mine in self._identity.items()
            if state.get(name) != mine
        ]
        if differing:
            if state.get("snapshot") != self._identity["snapshot"]:
                differing.append("open_snapshot(path, state['snapshot']) opens that version")
            raise UsageError(f"this loader cannot go on from that state: {'; '.join(differing)}")
        self._next, self._now, self._running = self._place_of(state), None, None

    def _place_of(self, state: Mapping[str, Any]) -> _Place:
        try:
            worker, workers, given = state.get("share", (0, 1, 0))
        except (TypeError, ValueError):
            raise UsageError(f"no share of a worker: {_short(state.get('share'))}") from None
        place = _Place(
            epoch=integer("epoch", state.get("epoch")),
            batches=integer("batches", state.get("batches"), 0),
            worker=integer("worker", worker, 0),
            workers=integer("workers", workers, 1),
            given=integer("given", given, 0),
        )
        if place.batches > len(self):
            raise UsageError(f"the state tells of {place.batches} batches of {len(self)}")
        return place

    @cached_property
    def _identity(self) -> dict[str, Any]:
        dealing, window = self._dealing, self._dealing.window
        return {
            "format": _FORMAT,
            "snapshot": self.dataset.snapshot,
            "selection": _digest(self.dataset._selection),  # noqa: SLF001
            "records": len(self.dataset),
            "size": dealing.size,
            "shuffle": "window" if window else dealing.shuffle,
            "window": list(window) if window else None,
            "seed": dealing.seed,
            "drop_last": dealing.drop_last,
            "rank": dealing.rank,
            "world": dealing.world,
            "even": dealing.even,
        }

    def __getstate__(self) -> dict[str, Any]:
        left_out = {"_now": None, "_running": None, "_buffers": None}
        return {**self.__dict__, **left_out, "_next": replace(self._now or self._next)}

    def __repr__(self) -> str:
        place = self._now or self._next
        return (
            f"Loader({len(self)} batches of {self._dealing.size} of {self.dataset!r}, "
            f"epoch {place.epoch}, {place.batches + place.given} delivered)"
        )


def make_loader(
    dataset: PackedDataset,
    size: int,
    *,
    shuffle: Shuffle,
    window: int | None,
    seed: int,
    drop_last: bool,
    rank: int,
    world: int,
    even: bool,
    **how: Any,
) -> Loader:
    """Make the loader of :meth:`PackedDataset.batches`."""
    if shuffle not in (True, False, "window"):
        raise UsageError(f"shuffle is True, False or 'window', not {shuffle!r}")
    windowed = window is not None or shuffle == "window"
    dealing = Dealing(
        count=len(dataset),
        size=integer("size", size, 1),
        shuffle=bool(shuffle) or windowed,
        window=_window(dataset, window) if windowed else None,
        seed=integer("seed", seed),
        drop_last=bool(drop_last),
        rank=integer("rank", rank, 0),
        world=integer("world", world, 1),
        even=bool(even),
    )
    return Loader(dataset, dealing, **how)


def _window(dataset: PackedDataset, window: int | None) -> tuple[int, int]:
    """Choose the records of a block and the blocks of a window."""
    chunks = dataset.manifest.chunks
    rows = sum(entry.rows for entry in chunks)
    each = max(1, sum(entry.bytes for entry in chunks) // max(1, rows))
    block = max(1, _BLOCK_BYTES // each)
    if window is None:
        return block, _BLOCKS
    records = integer("window", window, 1)
    block = max(1, min(block, records // _FEWEST_BLOCKS))
    return block, max(1, records // block)


def _digest(selection: range | Numbers | None) -> str | None:
    """Name a selection by what it chooses."""
    if selection is None:
        return None
    if isinstance(selection, range):
        return f"{selection.start}:{selection.stop}:{selection.step}"
    return blake2b(np.ascontiguousarray(selection, "<i8").data, digest_size=16).hexdigest()


def _short(value: Any) -> str:
    return str(value)[:120]


def _processors() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1
