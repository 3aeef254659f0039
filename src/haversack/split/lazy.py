"""Split arrays for dask and xarray, which read what they compute with and no more."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from haversack.errors import MissingExtraError
from haversack.split.streaming import cut

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
    source = view.source
    chunks = tuple(
        tuple(each.stop - each.start for each in cut(seen, size, count)) or (0,)
        for seen, size, count in zip(view.seen, source.shape_block, source.shape_grid, strict=True)
        if isinstance(seen, range)
    )
    # The files may change under the same path, so that no name stands for their content.
    return da.from_array(
        view, chunks=chunks, name=False, meta=np.empty((0,) * view.ndim, view.dtype)
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

    Raises
    ------
    MissingExtraError
        xarray is not installed.
    """
    xr = _xarray()
    lazy = _backend_array(view)
    about = view.about
    return xr.DataArray(
        xr.Variable(about.axes, lazy),
        coords=coordinates(view, xr),
        name=name,
        attrs=dict(about.metadata),
    )


def coordinates(view: SplitView, xr: Any) -> dict[str, Any]:
    """Make a coordinate for each axis whose resolution or frequency is known."""
    about, found = view.about, {}
    of_axes = zip(about.axes, about.distances, view.shape, strict=True)
    for axis, (name, distance, length) in enumerate(of_axes):
        unit = about.units[axis] if about.units else ""
        if axis == 0 and about.frequency is not None:
            step, unit = 1 / about.frequency, "s"
        elif distance is not None:
            step = distance
        else:
            continue
        attrs = {"units": unit} if unit else {}
        found[name] = xr.Variable((name,), np.arange(length) * step, attrs)
    return found


def _backend_array(view: SplitView) -> Any:
    from xarray.backends import BackendArray
    from xarray.core import indexing

    class Reader(BackendArray):
        """What xarray reads from: a view, indexed axis by axis."""

        shape, dtype = view.shape, view.dtype

        def __getitem__(self, key: Any) -> Any:
            return indexing.explicit_indexing_adapter(
                key, view.shape, indexing.IndexingSupport.OUTER, lambda index: view.oindex[index]
            )

    return indexing.LazilyIndexedArray(Reader())


def open_dataset(
    path: str | os.PathLike[str],
    *,
    drop_variables: Iterable[str] | None = None,
    name: str = "stack",
) -> Any:
    """Open a split array as an xarray Dataset of one variable, as ``xr.open_dataset`` does."""
    from haversack.split.dataset import SplitDataset

    made = SplitDataset(Path(path)).to_xarray(name).to_dataset()
    return made.drop_vars(list(drop_variables or ()), errors="ignore")
