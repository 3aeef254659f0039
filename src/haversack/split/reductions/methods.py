"""The methods that reduce an array on disk, as numpy's functions of the same names do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, SupportsIndex

from numpy.typing import DTypeLike, NDArray

from haversack import events

if TYPE_CHECKING:
    from haversack.split.view import SplitView

Axes = SupportsIndex | tuple[SupportsIndex, ...] | None


@dataclass(frozen=True, slots=True)
class How:
    """What a reduction becomes: numpy's arguments of these names."""

    keepdims: bool = False
    dtype: DTypeLike | None = None
    out: NDArray[Any] | None = None
    ddof: float = 0


class Reductions(ABC):
    """What can be computed of an array in one pass, piece by piece."""

    @abstractmethod
    def _window(self, index: Any) -> SplitView:
        """Make a view."""

    def sum(
        self,
        axis: Axes = None,
        dtype: DTypeLike | None = None,
        out: NDArray[Any] | None = None,
        *,
        keepdims: bool = False,
        progress: events.Progress = None,
    ) -> Any:
        """Add up elements along axes, all by default, as ``np.sum`` does; read piece by piece.

        The sum is made in ``dtype``, or in the one that numpy chooses: integers wrap around, and
        floats become infinite, where numpy's do. How floats are rounded depends on the pieces.
        """
        how = How(keepdims=keepdims, dtype=dtype, out=out)
        return self._reduced("sum", axis, how, progress)

    def mean(
        self,
        axis: Axes = None,
        dtype: DTypeLike | None = None,
        out: NDArray[Any] | None = None,
        *,
        keepdims: bool = False,
        progress: events.Progress = None,
    ) -> Any:
        """Average elements along axes, as ``np.mean`` does: their sum in ``dtype``, divided.

        As with numpy the sum is put into ``out`` before it is divided, which has to hold it.
        """
        how = How(keepdims=keepdims, dtype=dtype, out=out)
        return self._reduced("mean", axis, how, progress)

    def max(
        self,
        axis: Axes = None,
        out: NDArray[Any] | None = None,
        *,
        keepdims: bool = False,
        progress: events.Progress = None,
    ) -> Any:
        """Find the largest elements along axes, as ``np.max`` does."""
        how = How(keepdims=keepdims, out=out)
        return self._reduced("max", axis, how, progress)

    def min(
        self,
        axis: Axes = None,
        out: NDArray[Any] | None = None,
        *,
        keepdims: bool = False,
        progress: events.Progress = None,
    ) -> Any:
        """Find the smallest elements along axes, as ``np.min`` does."""
        how = How(keepdims=keepdims, out=out)
        return self._reduced("min", axis, how, progress)

    def std(
        self,
        axis: Axes = None,
        dtype: DTypeLike | None = None,
        out: NDArray[Any] | None = None,
        *,
        ddof: float = 0,
        keepdims: bool = False,
        progress: events.Progress = None,
    ) -> Any:
        """Compute the standard deviation along axes, as ``np.std`` does: the root of the variance.

        ``dtype`` and ``ddof`` are those of :meth:`var`.
        """
        how = How(keepdims=keepdims, dtype=dtype, out=out, ddof=ddof)
        return self._reduced("std", axis, how, progress)

    def var(
        self,
        axis: Axes = None,
        dtype: DTypeLike | None = None,
        out: NDArray[Any] | None = None,
        *,
        ddof: float = 0,
        keepdims: bool = False,
        progress: events.Progress = None,
    ) -> Any:
        """Compute the variance along axes, as ``np.var`` does.

        It is gathered in doubles at least, and brought to ``dtype`` (of floats) or numpy's own at
        the end: where numpy's sum of float16 squares overflows, this one does not.
        """
        how = How(keepdims=keepdims, dtype=dtype, out=out, ddof=ddof)
        return self._reduced("var", axis, how, progress)

    def _reduced(self, name: str, axis: Axes, how: How, progress: events.Progress) -> Any:
        from haversack.split.reductions.reducing import reduce_view

        return reduce_view(self._window(()), name, axis, how, progress)
