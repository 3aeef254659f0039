"""Which records each batch of each rank has: the order of an epoch, cut and dealt."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from haversack.errors import UsageError
from haversack.packed.batches.shuffle import Numbers, Permutation, Windows

_AT_ONCE = 1 << 14  # indices shuffled at once: fewer would cost more each


class Order(Protocol):
    """An order of records, by their places in it."""

    def at(self, places: Numbers) -> Numbers: ...


class InOrder:
    """The order that the records have anyway."""

    def at(self, places: Numbers) -> Numbers:
        return places


@dataclass(frozen=True, slots=True)
class Dealing:
    """How the records of an epoch become batches.

    Batches are cut from the order of all records and dealt to ranks in turn. ``window`` is None or
    the records of a block and the blocks of a window.
    """

    count: int
    size: int
    shuffle: bool
    window: tuple[int, int] | None
    seed: int
    drop_last: bool
    rank: int
    world: int
    even: bool

    def __post_init__(self) -> None:
        if self.rank >= self.world:
            raise UsageError(f"rank {self.rank} of {self.world}: ranks count from 0")

    def __len__(self) -> int:
        """Count the batches of the rank."""
        batches = self.count // self.size if self.drop_last else -(-self.count // self.size)
        if self.even:
            return batches // self.world
        return max(0, -(-(batches - self.rank) // self.world))

    def order(self, epoch: int) -> Order:
        """Make the order of an epoch."""
        if self.window is not None:
            block, blocks = self.window
            return Windows(self.count, block=block, blocks=blocks, seed=self.seed, epoch=epoch)
        return Permutation(self.count, seed=self.seed, epoch=epoch) if self.shuffle else InOrder()

    def blocks(
        self, order: Order, numbers: range, whole: int
    ) -> Iterator[tuple[range, Numbers, Numbers]]:
        """Yield the records of some of the rank's batches, many batches at once.

        Parameters
        ----------
        numbers
            The numbers of the batches among the rank's.
        whole
            All blocks but the last have a multiple of so many batches.

        Yields
        ------
        The numbers of a block's batches, where their records are in the order, and these records.
        """
        start, length = 0, whole
        while start < len(numbers):
            part = numbers[start : start + length]
            places = self.places(part)
            yield part, places, order.at(places)
            start += length
            if length * self.size < _AT_ONCE:  # the first ones are small, to be there soon
                length *= 2

    def places(self, numbers: range) -> Numbers:
        """List where in the order the records of some of the rank's batches are."""
        dealt = np.arange(numbers.start, numbers.stop, numbers.step, dtype=np.int64)
        starts = (self.rank + self.world * dealt) * self.size
        places = (starts[:, None] + np.arange(min(self.size, self.count))).reshape(-1)
        # The last batch of all may be short: it is the last of its rank.
        return places if not len(places) or places[-1] < self.count else places[places < self.count]


def integer(name: str, value: Any, least: int | None = None) -> int:
    """Check that an argument is an integer, and not too small."""
    try:
        found = operator.index(value)
    except TypeError:
        raise UsageError(f"{name} must be an integer, not {type(value).__name__}") from None
    if least is not None and found < least:
        raise UsageError(f"{name} must be at least {least}, not {found}")
    return found
