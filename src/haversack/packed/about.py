"""Say what a packed dataset is, in a line, as values, and as HTML."""

from __future__ import annotations

import html as escaping
from typing import Any

from haversack.packed.kinds import read_dtype
from haversack.packed.snapshot import Snapshot


def info(snapshot: Snapshot, records: int) -> dict[str, Any]:
    """Describe a version from its manifest alone."""
    manifest = snapshot.manifest
    return {
        "kind": "packed dataset",
        "path": str(snapshot.root),
        "records": records,
        "arrays": arrays(snapshot),
        "chunks": len(manifest.chunks),
        "bytes": sum(entry.bytes + entry.index_bytes for entry in manifest.chunks),
        "keys": manifest.key_type or "none",
        "columns": {name: " or ".join(types) for name, types in manifest.columns.items()},
        "version": manifest.version,
        "written": manifest.created,
        "format": manifest.format,
    }


def arrays(snapshot: Snapshot) -> str:
    """Say what the arrays are where all are alike."""
    kinds = {(repr(entry.dtype), repr(entry.shape)) for entry in snapshot.manifest.chunks}
    if not kinds:
        return "none"
    first = snapshot.manifest.chunks[0]
    if len(kinds) > 1 or first.shape is None:
        return "of several shapes or encoded"
    return f"{read_dtype(first.dtype)} {first.shape}"


def line(snapshot: Snapshot, records: int) -> str:
    """Describe it in one line."""
    return (
        f"<PackedDataset {str(snapshot.root)!r}: {records:,} records, {arrays(snapshot)}, "
        f"version {snapshot.manifest.version}>"
    )


def html(snapshot: Snapshot, records: int) -> str:
    """Describe it as a small table; everything in it is escaped."""
    rows = "".join(
        f"<tr><th style='text-align:left'>{escaping.escape(name)}</th>"
        f"<td style='text-align:left'>{escaping.escape(_shown(value))}</td></tr>"
        for name, value in info(snapshot, records).items()
    )
    return f"<table>{rows}</table>"


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {kind}" for name, kind in value.items()) or "none"
    return f"{value:,}" if type(value) is int else str(value)
