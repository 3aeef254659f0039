"""The system calls that not every platform has, in one table.

Everything above asks this table and falls back where an entry is None; the test suite also runs
with all of them removed.
"""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any


def _optional(name: str) -> Any:
    return getattr(os, name, None)


calls = SimpleNamespace(
    pread=_optional("pread"),
    preadv=_optional("preadv"),
    fdatasync=_optional("fdatasync"),
    link=_optional("link"),
    posix_fadvise=_optional("posix_fadvise"),
    # Windows cannot open a directory, so it has nothing to sync.
    directory_sync=hasattr(os, "O_DIRECTORY"),
)
