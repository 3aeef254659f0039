"""The items of a build, taken one after the other, with the numbers that they have."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any


class Source:
    """Items of which some may be looked at and given back; ``number`` is that of the next."""

    def __init__(self, items: Iterable[Any]) -> None:
        self._items = iter(items)
        self._back: deque[Any] = deque()
        self.number = 0

    def ended(self) -> bool:
        """Tell whether there is no further item."""
        if not self._back:
            self._back.extend(islice(self._items, 1))
        return not self._back

    def take(self, count: int) -> list[Any]:
        """Take so many items, fewer where there are no more."""
        items = list(self.stream(count))
        self.number += len(items)
        return items

    def stream(self, count: int) -> Iterator[Any]:
        """Give up to so many items one by one; the caller adds them to ``number``."""
        while count and self._back:
            yield self._back.popleft()
            count -= 1
        yield from islice(self._items, count)

    def give_back(self, items: list[Any]) -> None:
        """Take items back, which come next again."""
        self._back.extendleft(reversed(items))
        self.number -= len(items)
