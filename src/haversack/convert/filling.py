"""Copy an array into another that takes pieces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from haversack import events
from haversack.split import SplitView
from haversack.split.streaming import Region, pieces


def fill(view: SplitView, write: Callable[[Region, Any], None], progress: events.Progress) -> None:
    """Read a view piece by piece."""
    with events.task(progress, "export", total=view.nbytes, unit="B") as work:
        for region in pieces(view):
            data = view[region]
            write(region, data)
            work.advance(data.nbytes)
