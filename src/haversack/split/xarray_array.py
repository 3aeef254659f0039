"""What xarray reads from; it needs xarray, and is at hand to those that unpickle its arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xarray.backends import BackendArray
from xarray.core import indexing

if TYPE_CHECKING:
    from haversack.split.view import SplitView


class ViewReader(BackendArray):
    """A view that is indexed axis by axis."""

    def __init__(self, view: SplitView) -> None:
        self.view, self.shape, self.dtype = view, view.shape, view.dtype

    def __getitem__(self, key: Any) -> Any:
        return indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.OUTER, lambda index: self.view.oindex[index]
        )


def lazily(view: SplitView) -> Any:
    """Make an array of a view that xarray reads when it computes."""
    return indexing.LazilyIndexedArray(ViewReader(view))
