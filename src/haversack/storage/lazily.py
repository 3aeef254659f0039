"""An attribute that is worked out when it is first asked for, without a lock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

_Value = TypeVar("_Value")


class lazily(Generic[_Value]):  # noqa: N801 (a decorator)
    """Work out an attribute once for each instance, and keep it.

    Up to Python 3.11 ``functools.cached_property`` holds a lock meanwhile, one for all instances: a
    child that was forked at that moment finds it taken for ever. Here two threads may both work
    it out.

    Examples
    --------
    >>> class Line:
    ...     @lazily
    ...     def length(self):
    ...         print("measured")
    ...         return 7
    >>> line = Line()
    >>> line.length, line.length
    measured
    (7, 7)
    """

    def __init__(self, work_out: Callable[[Any], _Value]) -> None:
        self._work_out, self._name = work_out, work_out.__name__
        self.__doc__ = work_out.__doc__

    def __get__(self, instance: Any, owner: type | None = None) -> _Value:
        value = instance.__dict__[self._name] = self._work_out(instance)
        return value
