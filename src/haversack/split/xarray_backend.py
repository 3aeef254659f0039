"""``xr.open_dataset(path, engine="haversack")``: found by xarray through its entry point."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from xarray.backends import BackendEntrypoint

from haversack.split.dataset import is_split
from haversack.split.lazy import open_dataset


class HaversackBackend(BackendEntrypoint):
    """Open split arrays as Datasets of one lazy variable, ``stack``."""

    description = "Open directories of split arrays (haversack, split_dataset)"
    open_dataset_parameters: ClassVar[tuple[str, ...]] = (
        "filename_or_obj",
        "drop_variables",
        "name",
    )

    def open_dataset(
        self,
        filename_or_obj: Any,
        *,
        drop_variables: str | Iterable[str] | None = None,
        name: str = "stack",
    ) -> Any:
        """Open the directory at a path."""
        dropped = [drop_variables] if isinstance(drop_variables, str) else drop_variables
        return open_dataset(filename_or_obj, drop_variables=dropped, name=name)

    def guess_can_open(self, filename_or_obj: Any) -> bool:
        """Whether a path is a directory of a split array."""
        try:
            return is_split(filename_or_obj)
        except (TypeError, ValueError, OSError):
            return False
