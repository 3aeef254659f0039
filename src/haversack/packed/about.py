"""Say what a packed dataset is, in a line, as values, and as HTML."""

from __future__ import annotations

import html as escaping
from typing import Any

from haversack.errors import HaversackError
from haversack.packed.encoding.kinds import read_dtype
from haversack.packed.manifests.kept import numbers
from haversack.packed.reading.snapshot import Snapshot
from haversack.packed.reading.versions import tag_names

_MIXED = "several dtypes or shapes or encoded"
_MOST_KINDS = 6  # that are listed


def info(snapshot: Snapshot, records: int) -> dict[str, Any]:
    """Describe a version from its manifest, and the first chunk that has kinds of its own."""
    manifest = snapshot.manifest
    return {
        "kind": "packed dataset",
        "path": str(snapshot.root),
        "records": records,
        "deleted": snapshot.starts[-1] - snapshot.rows,
        "arrays": arrays(snapshot),
        "codecs": codecs(snapshot),
        "chunks": len(manifest.chunks),
        "journal": len(snapshot.tail.live()) if snapshot.tail else 0,
        "bytes": sum(entry.bytes + entry.index_bytes for entry in manifest.chunks),
        "deleted bytes": sum(entry.deleted_bytes for entry in manifest.chunks),
        "keys": manifest.key_type or "none",
        "columns": {name: " or ".join(types) for name, types in manifest.columns.items()},
        "version": manifest.version,
        "versions kept": len(numbers(snapshot.root)),
        "tags": tag_names(snapshot.root),
        "written": manifest.created,
        "format": manifest.format,
    }


def arrays(snapshot: Snapshot) -> str:
    """Say what the arrays are, as far as the manifest tells: that of encoded ones it does not."""
    counts: dict[str, int] = {}
    for entry in snapshot.manifest.chunks:
        mixed = entry.shape is None
        kind = _MIXED if mixed else f"{read_dtype(entry.dtype)} {entry.shape}"
        gone = entry.deleted.rows if entry.deleted else 0
        counts[kind] = counts.get(kind, 0) + entry.rows - gone
    if len(counts) < 2:
        return next(iter(counts), "none")
    if len(counts) > _MOST_KINDS:
        return _MIXED
    return ", ".join(f"{kind} ({count:,})" for kind, count in counts.items())


def codecs(snapshot: Snapshot) -> str:
    """Say how records are stored, as the first chunk tells whose records differ."""
    found = set[str]()
    for number, entry in enumerate(snapshot.manifest.chunks):
        if entry.shape is not None:
            found.add("none")
        else:
            try:
                found.update(kind.codec for kind in snapshot.chunk(number).kinds)
            except HaversackError:
                continue
            break
    if snapshot.tail is not None:
        found.update(snapshot.tail.row(row).stored.kind.codec for row in snapshot.tail.live())
    return ", ".join(sorted(found)) or "none"


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
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return f"{value:,}" if type(value) is int else str(value)
