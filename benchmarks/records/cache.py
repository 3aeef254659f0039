"""The page cache: drop a contender's files from it, fill it with them, ask what it holds."""

import ctypes
import mmap
import os
from pathlib import Path

import numpy as np

_ASKED = 1000  # files of a contender that are asked about, where it has more


def files(home: Path) -> list[Path]:
    """List a contender's files."""
    return sorted(path for path in home.rglob("*") if path.is_file()) if home.is_dir() else [home]


def size(home: Path) -> tuple[int, int]:
    """Give bytes and number of a contender's files."""
    found = files(home)
    return sum(path.stat().st_size for path in found), len(found)


def allocated(home: Path) -> int:
    """Give the bytes that a contender's files take, holes in them left out."""
    return sum(path.stat().st_blocks * 512 for path in files(home))


def warm(home: Path) -> None:
    """Read all files once."""
    buffer = bytearray(1 << 20)
    for path in files(home):
        with path.open("rb", buffering=0) as file:
            while file.readinto(buffer):
                pass


def drop(home: Path) -> float:
    """Write all files back and drop them; give the share of their pages that is still held.

    Pages that a process has mapped stay: whoever had them mapped must have let go before.
    """
    os.sync()
    for path in files(home):
        descriptor = os.open(path, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)
    return _held(home)


def _held(home: Path) -> float:
    paths = [path for path in files(home) if path.stat().st_size]
    pages = [_pages_held(path) for path in paths[:: -(-len(paths) // _ASKED)]]
    return float(np.concatenate(pages).mean())


def _pages_held(path: Path) -> np.ndarray:
    """Ask ``mincore``: to try a page by reading it could bring in its neighbours."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        view = np.frombuffer(mapped, np.uint8)
        held = np.empty(-(-len(view) // mmap.PAGESIZE), np.uint8)
        libc = ctypes.CDLL(None, use_errno=True)
        start, length = ctypes.c_void_p(view.ctypes.data), ctypes.c_size_t(len(view))
        if libc.mincore(start, length, ctypes.c_void_p(held.ctypes.data)):
            raise OSError(ctypes.get_errno(), "mincore")
        del view
    return held & 1
