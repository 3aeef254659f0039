"""Close files of which everything has been said: what was done with them stands."""

from __future__ import annotations

import os
from contextlib import suppress


def close_quietly(descriptor: int) -> None:
    """Close a descriptor that has been read, or written and synced; an error now means nothing."""
    with suppress(OSError):
        os.close(descriptor)
