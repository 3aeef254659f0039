"""Split arrays for dask and xarray, which read what they compute with and no more."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from haversack.errors import MissingExtraError
from haversack.split.planning.layout import too_large
from haversack.split.reductions.streaming import cut

if TYPE_CHECKING:
    from haversack.split.view import SplitView


def to_dask(view: SplitView) -> Any:
    """Make a dask array of a view, whose chunks are the blocks of the files.

    Raises
    ------
    MissingExtraError
        dask is not installed.
    """
    try:
        import dask.array as da
    except ImportError as error:
        raise MissingExtraError("dask is not installed: pip install 'haversack[dask]'") from error
    # The files may change under the same path, so that no name stands for their content.
    return da.from_array(
        view, chunks=_chunks(view), name=False, meta=np.empty((0,) * view.ndim, view.dtype)
    )


def _chunks(view: SplitView) -> tuple[tuple[int, ...], ...]:
    """Lengths along each axis of what lies in one block."""
    source = view.source
    return tuple(
        tuple(each.stop - each.start for each in cut(seen, size, count)) or (0,)
        for seen, size, count in zip(view.seen, source.shape_block, source.shape_grid, strict=True)
        if isinstance(seen, range)
    )


def _xarray() -> Any:
    try:
        import xarray as xr
    except ImportError as error:
        raise MissingExtraError(
            "xarray is not installed: pip install 'haversack[xarray]'"
        ) from error
    return xr


def to_xarray(view: SplitView, name: str = "stack") -> Any:
    """Make an xarray DataArray of a view, with coordinates from frequency and resolution.

    It is what indexing the DataArray of the whole array gives: the coordinates say where the view
    lies, and an axis that it drops leaves the one of its place.

    Raises
    ------
    MissingExtraError
        xarray is not installed.
    """
    xr = _xarray()
    from haversack.split.xarray_array import lazily

    about = view.about
    made = xr.DataArray(
        xr.Variable(about.axes, lazily(view)),
        coords=coordinates(view, xr),
        name=name,
        attrs=dict(about.metadata),
    )
    made.encoding["preferred_chunks"] = dict(zip(about.axes, _chunks(view), strict=True))
    return made


def coordinates(view: SplitView, xr: Any) -> dict[str, Any]:
    """Make a coordinate for each axis of the source whose resolution or frequency is known."""
    about, found = view.source.about, {}
    of_axes = zip(about.axes, about.steps, about.step_units, view.seen, strict=True)
    for number, (name, step, unit, seen) in enumerate(of_axes):
        if step is None:
            continue
        places = seen if isinstance(seen, int) else _places(seen)
        # Not times 1 / frequency: the fourth of 10 Hz is at 0.3, not at 0.30000000000000004.
        rate = about.frequency if number == 0 else None
        values = places * step if rate is None else places / rate
        dims = () if isinstance(seen, int) else (name,)
        found[name] = xr.Variable(dims, np.asarray(values), {"units": unit} if unit else {})
    return found


def _places(seen: range) -> NDArray[np.int64]:
    try:
        return np.arange(seen.start, seen.stop, seen.step, dtype=np.int64)
    except MemoryError as error:
        raise too_large((len(seen),), np.dtype(np.int64)) from error


def open_dataset(
    path: str | os.PathLike[str],
    *,
    drop_variables: Iterable[str] | None = None,
    name: str = "stack",
) -> Any:
    """Open a split array as an xarray Dataset of one variable, as ``xr.open_dataset`` does."""
    from haversack.split.dataset import SplitDataset

    made = SplitDataset(path).to_xarray(name).to_dataset()
    return made.drop_vars(list(drop_variables or ()), errors="ignore")
