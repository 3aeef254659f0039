"""The system calls that not every platform has, in one table.

Everything above asks this table and falls back where an entry is None; the test suite also runs
with all of them removed.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Calls:
    """Optional calls of this platform; None where it lacks one."""

    pread: Callable[[int, int, int], bytes] | None = getattr(os, "pread", None)
    preadv: Callable[..., int] | None = getattr(os, "preadv", None)
    fdatasync: Callable[[int], None] | None = getattr(os, "fdatasync", None)
    link: Callable[..., None] | None = getattr(os, "link", None)
    posix_fadvise: Callable[[int, int, int, int], Any] | None = getattr(os, "posix_fadvise", None)
    # Windows cannot open a directory, so it has nothing to sync.
    directory_sync: bool = hasattr(os, "O_DIRECTORY")


calls = Calls()
