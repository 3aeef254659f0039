"""Read items for the writer: one by one as it asks, or ahead of it in slices that workers take."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final

from haversack.packed.build.crew import Crew, Task
from haversack.packed.build.portions import Portion, Recipe
from haversack.packed.build.runs import SAMPLE, SAMPLE_BYTES
from haversack.packed.build.source import Source

_EACH: Final = 4  # slices that each worker may be ahead
_SECONDS: Final = 0.02  # that a slice should take
_BYTES: Final = 1 << 20  # that it should hold
_MOST: Final = 256  # items of a slice


class Reader:
    """Portions of a source's items, in order."""

    def __init__(self, crew: Crew, recipe: Recipe, source: Source) -> None:
        self._crew, self._recipe, self._source = crew, recipe, source
        self._ahead = 0 if crew.alone else crew.workers * _EACH
        self._waiting: deque[Task[list[Portion]]] = deque()
        self._slice = 1

    def sample(self) -> list[Portion]:
        """Read the first items, each as a portion: enough of them to tell how large they are."""
        portions: list[Portion] = []
        while self._hand_out(SAMPLE, 1) or self._waiting:
            portions += self._next()
            if sum(portion.size for portion in portions) >= SAMPLE_BYTES or self._failed(portions):
                break
        while self._waiting:
            portions += self._next()
        return portions

    def _failed(self, portions: list[Portion]) -> bool:
        return bool(portions[-1].failures) and self._recipe.errors == "raise"

    def until(self, stop: int, length: int, barrier: int) -> Iterator[Portion]:
        """Read the items before ``stop``, where a run of that length ends.

        Items from ``barrier`` on are left alone; those before it may be read ahead.
        """
        source = self._source
        if self._crew.alone:
            count = max(stop - source.number, 0)
            for portion in self._recipe.portions(source.number, source.stream(count)):
                source.number += portion.count
                yield portion
            return
        while self._hand_out(barrier, length) or self._waiting:
            if self._waiting[0].first >= stop:
                return
            yield from self._next()

    def _hand_out(self, barrier: int, length: int) -> bool:
        """Hand out items up to a barrier; tell whether there were any."""
        source, any_more = self._source, False
        while len(self._waiting) <= self._ahead and source.number < barrier and not source.ended():
            first = source.number
            count = min(self._slice, length - first % length, barrier - first)
            items = source.take(count, deep=self._recipe.read is None and not self._crew.alone)
            self._waiting.append(self._crew.portions(self._recipe, first, items))
            any_more = True
        return any_more

    def _next(self) -> list[Portion]:
        found = self._waiting.popleft().result()
        count = sum(portion.count for portion in found)
        seconds, size = sum(b.seconds for b in found), sum(b.size for b in found)
        fitting = min(_SECONDS * count / max(seconds, 1e-6), _BYTES * count / max(size, 1))
        self._slice = min(max(int(fitting), 1), _MOST)
        return found

    @property
    def waiting(self) -> bool:
        """Whether items were handed out whose portions nobody has had yet."""
        return bool(self._waiting)
