"""Which file systems append whole writes one behind the other, whoever writes.

``O_APPEND`` is atomic between processes on the local file systems listed here. On network file
systems it is not: two machines may write over each other. What is not listed is not trusted.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

LOCAL: Final = frozenset(
    {"bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "overlay", "tmpfs", "xfs", "zfs"}
)


def appends_atomically(path: Path) -> bool:
    """Whether appends of several processes to one file below ``path`` never mix.

    Examples
    --------
    >>> appends_atomically(Path("/proc"))
    False
    """
    return sys.platform == "linux" and _kind_of(path.resolve()) in LOCAL


def _kind_of(path: Path) -> str:
    """Name the file system of a path, as the longest mount point above it says."""
    try:
        lines = Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines()
    except OSError:
        return "unknown"
    best, kind = -1, "unknown"
    for line in lines:
        mount, found = _mounted(line)
        # Of two at one place the later hides the earlier.
        if len(mount.parts) >= best and path.is_relative_to(mount):
            best, kind = len(mount.parts), found
    return kind


def _mounted(line: str) -> tuple[Path, str]:
    fields, _, rest = line.partition(" - ")
    place = fields.split(" ")[4]
    for escape, character in (("040", " "), ("011", "\t"), ("012", "\n"), ("134", "\\")):
        place = place.replace(f"\\{escape}", character)
    return Path(place), rest.split(" ")[0]
