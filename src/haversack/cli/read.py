"""``haversack read``: look at records of a packed dataset, or take one out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np

from haversack.cli.console import as_json, write_json, write_rows
from haversack.errors import UsageError


@click.command(
    "read",
    short_help="Look at records of a packed dataset.",
    epilog='Example: haversack read chips --where "cloud_cover < 10"',
)
@click.argument("dataset", type=click.Path(path_type=Path))
@click.argument("key", required=False)
@click.option("--where", metavar="SQL", help='Only records like this: "cloud_cover < 10".')
@click.option("--limit", default=10, show_default=True, help="How many records to list.")
@click.option("--out", type=click.Path(path_type=Path), help="Save the record's array as .npy.")
@as_json
def command(
    *,
    dataset: Path,
    key: str | None,
    where: str | None,
    limit: int,
    out: Path | None,
    as_json: bool,
) -> None:
    """List records of the packed DATASET, or show the one record KEY (a key or a position)."""
    import haversack
    from haversack.packed import PackedDataset

    opened: Any = haversack.open(dataset)
    if not isinstance(opened, PackedDataset):
        raise UsageError(f"{dataset} is no packed dataset: try `haversack info {dataset}`")
    with opened:
        chosen = opened.filter(where) if where else opened
        if key is not None:
            _show_one(_find(chosen, key), key, out, as_json=as_json)
        else:
            _list(chosen, limit, as_json=as_json)


def _find(dataset: Any, key: str) -> Any:
    record = dataset.get(key)
    if record is None and key.lstrip("-").isdigit():
        return dataset[int(key)]
    return record or dataset.record(key)


def _show_one(record: Any, key: str, out: Path | None, *, as_json: bool) -> None:
    array = record.data
    row = {"key": key, "shape": list(array.shape), "dtype": str(array.dtype)} | record.metadata
    if as_json:
        write_json(row)
    else:
        write_rows([{"name": name, "value": value} for name, value in row.items()])
    if out is not None:
        with out.open("xb") as file:
            np.save(file, array, allow_pickle=False)
        click.echo(f"saved {out}", err=True)


def _list(dataset: Any, limit: int, *, as_json: bool) -> None:
    shown = dataset[:limit]
    rows = [
        {"position": position, "key": key, "shape": list(shown[position].data.shape)}
        | shown[position].metadata
        for position, key in enumerate(shown.keys())
    ]
    if as_json:
        write_json(rows)
        return
    write_rows(rows)
    click.echo(f"{len(rows)} of {len(dataset):,} records", err=True)
