"""The items of a build, taken one after the other, with the numbers that they have."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from copy import copy, deepcopy
from itertools import islice
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from haversack.packed.encoding.kinds import as_bytes

_MUTABLE: Final = frozenset({dict, list, set, bytearray, np.ndarray})


class Source:
    """Items of which some may be looked at and given back; ``number`` is that of the next."""

    def __init__(self, items: Iterable[Any]) -> None:
        self._items = iter(items)
        self._back: deque[Any] = deque()
        self.number = 0

    def first(self) -> list[Any]:
        """Look at the next item: a list of it, empty where there is none."""
        return [] if self.ended() else [self._back[0]]

    def ended(self) -> bool:
        """Tell whether there is no further item."""
        if not self._back:
            self._back.extend(islice(self._items, 1))
        return not self._back

    def take(self, count: int, *, deep: bool) -> list[Any]:
        """Take so many items, fewer where there are no more.

        Who gives them may give the same object again with other content, so they are copied:
        with ``deep`` all that they hold, else those that are a collection or an array.
        """
        copied = _copied if deep else _copied_flat
        items = list(map(copied, self.stream(count)))
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


def _copied(item: Any) -> Any:
    if type(item) is tuple:
        return tuple(map(_copied, item))
    if type(item) is np.ndarray and item.dtype.names is not None and not item.dtype.hasobject:
        return _copied_structures(item)
    try:
        return deepcopy(item)
    except Exception:  # noqa: BLE001 (of the item's own class)
        return item


def _copied_structures(array: NDArray[Any]) -> NDArray[Any]:
    # What lies between the fields of numpy's own copy is whatever the memory held before.
    copied = np.zeros(array.shape, array.dtype)
    if array.flags.c_contiguous:
        as_bytes(copied)[...] = as_bytes(array)
    else:
        copied[...] = array
    return copied


def _copied_flat(item: Any) -> Any:
    if type(item) is np.ndarray:
        return _copied(item)
    return copy(item) if type(item) in _MUTABLE else item
