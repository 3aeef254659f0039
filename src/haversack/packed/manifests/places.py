"""Where the files of a dataset lie, below its directory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from haversack.packed.manifests.manifest import Manifest
from haversack.storage.names import component, fold

MANIFESTS: Final = "manifest"
TAGS: Final = "tags"  # a folder of MANIFESTS
INDEX: Final = "index"
CHUNKS: Final = "chunks"
JOURNALS: Final = "journal"
CACHE: Final = "cache"
BUILDS: Final = "build"
FOLDERS: Final = (MANIFESTS, INDEX, CHUNKS)  # that each dataset has
_LONGEST_HEAD = 150  # bytes of a tag in the name of its file, where more must follow


def manifest_path(root: Path, version: int) -> Path:
    """Name the file of a version."""
    return root / MANIFESTS / f"{version:08d}.json"


def tag_path(root: Path, name: str) -> Path:
    """Name the file of a tag: any text becomes one name, on any file system a different one."""
    plain = component(name)
    if (head := fold(plain).lstrip(".")) != plain:  # a dot would make it a temporary
        digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        plain = f"{head.encode()[:_LONGEST_HEAD].decode(errors='ignore')}%~{digest}"
    return root / MANIFESTS / TAGS / f"{plain}.json"


def chunk_path(root: Path, chunk_id: str) -> Path:
    """Name the file of a chunk."""
    return root / CHUNKS / f"{chunk_id}.chunk"


def index_path(root: Path, chunk_id: str) -> Path:
    """Name the index file of a chunk."""
    return root / INDEX / f"{chunk_id}.parquet"


def deletions_path(root: Path, chunk_id: str, number: int) -> Path:
    """Name a deletion list of a chunk; later versions have lists of higher numbers."""
    return root / INDEX / f"{chunk_id}.{number}.del"


def journal_path(root: Path, journal_id: str) -> Path:
    """Name the file of a journal."""
    return root / JOURNALS / f"{journal_id}.journal"


def files(manifest: Manifest) -> Iterator[Path]:
    """Name the files of a version, below the dataset's directory."""
    here = Path()
    for entry in manifest.chunks:
        yield chunk_path(here, entry.id)
        yield index_path(here, entry.id)
        if entry.deleted is not None:
            yield deletions_path(here, entry.id, entry.deleted.number)
    if manifest.journal is not None:
        yield journal_path(here, manifest.journal)
