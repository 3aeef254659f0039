"""``haversack read``: look at records of a packed dataset or at a split array, or take some out."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from haversack.cli.console import (
    FILE_PATH,
    TakesIndex,
    as_json,
    of_version,
    open_version,
    shown,
    whole_number,
    write_info,
    write_json,
    write_rows,
)
from haversack.cli.indices import parse_index
from haversack.errors import UsageError
from haversack.storage import publish

_COLUMNS, _SHORT, _FEW, _LISTED = 4, 24, 20, 10


@click.command(
    "read",
    cls=TakesIndex,
    short_help="Look at records of a packed dataset, or at a part of a split array.",
    epilog='Example: haversack read chips --where "cloud_cover < 10"',
)
@click.argument("dataset", type=FILE_PATH)
@click.argument("key", required=False)
@click.option("--where", metavar="SQL", help='Only records like this: "cloud_cover < 10".')
@click.option("--columns", metavar="NAME,...", help="Metadata to show; otherwise what is short.")
@click.option("--limit", type=click.IntRange(0), help="Most records to list.  [default: 10]")
@click.option("--out", type=FILE_PATH, help="With KEY: save the array as .npy.")
@of_version
@as_json
def command(
    *,
    dataset: Path,
    key: str | None,
    where: str | None,
    columns: str | None,
    limit: int | None,
    out: Path | None,
    version: str | None,
    as_json: bool,
) -> None:
    """List records of the packed DATASET, or show the one record KEY (a key or a position).

    Of a split array KEY is what stands in numpy's brackets ("5, :, ::2", "-1", or "[3, 1], 5" with
    a list): its values are described, or saved.
    """
    from haversack.packed import PackedDataset
    from haversack.split import SplitDataset

    of_a_list = {"--columns": columns, "--limit": limit}
    opened = open_version(dataset, version)
    if isinstance(opened, SplitDataset):
        _refuse({"--where": where, **of_a_list}, f"for packed datasets; {dataset} is a split array")
        if out is not None and key is None:
            raise UsageError('--out saves what an index takes: name one too, such as 0, or "..."')
        _read_part(opened, "..." if key is None else key, out, as_json=as_json)
        return
    if not isinstance(opened, PackedDataset):
        raise UsageError(f"{dataset} is no packed dataset: try `haversack info {dataset}`")
    if out is not None and key is None:
        raise UsageError("--out saves one record: name its KEY too")
    if key is not None:
        _refuse(of_a_list, "for lists of records, not for the one of a KEY")
    with opened:
        chosen = opened.filter(where) if where else opened
        if key is None:
            rows = [_row(record) for record in chosen[: _LISTED if limit is None else limit]]
            wanted = None if columns is None else _known(columns.split(","), rows, chosen)
            _list(rows, wanted, as_json=as_json)
            click.echo(f"{len(rows)} of {len(chosen):,} records", err=True)
        else:
            _show_one(_find(chosen, key), out, as_json=as_json)


def _refuse(options: dict[str, Any], what_for: str) -> None:
    """Refuse options that would do nothing."""
    given = [name for name, value in options.items() if value is not None]
    if given:
        verb = "is" if len(given) == 1 else "are"
        raise UsageError(f"{' and '.join(given)} {verb} {what_for}")


def _read_part(dataset: Any, index: str, out: Path | None, *, as_json: bool) -> None:
    """Describe, or save, a part of a split array; only what lists take is whole in memory."""
    from haversack.convert import export_array

    items = parse_index(index)
    has_lists = any(isinstance(item, list) for item in items)
    try:
        part = (dataset if has_lists else dataset.view)[items]
    except IndexError as error:
        raise UsageError(f"{index!r} does not fit {dataset.shape}: {error}") from error
    if out is not None:
        if has_lists:
            _save(out, part)
        else:
            export_array(part, out, "npy")
        click.echo(f"saved {out}", err=True)
    about: dict[str, Any] = {"shape": list(part.shape), "dtype": str(part.dtype)}
    if part.size and part.dtype.kind in "biuf":
        with np.errstate(over="ignore", invalid="ignore"):  # the mean is then infinite, or none
            about |= {name: getattr(part, name)().item() for name in ("min", "max", "mean")}
    if part.size <= _FEW:
        about["values"] = part[...].tolist()
    write_info(about, as_json=as_json)


def _find(dataset: Any, key: str) -> Any:
    record = dataset.get(key)
    number = whole_number(key)
    if record is None and number is not None:
        # A dataset with integer keys is asked by them, any other by position.
        record = dataset.get(number) if -(1 << 63) <= number < 1 << 63 else None
        return record or dataset[number]
    return record or dataset.record(key)


def _row(record: Any) -> dict[str, Any]:
    data = record.data
    named = {} if record.key is None else {"key": record.key}
    return {**named, "shape": list(data.shape), "dtype": str(data.dtype), **record.metadata}


def _show_one(record: Any, out: Path | None, *, as_json: bool) -> None:
    if out is not None:
        _save(out, record.data)
        click.echo(f"saved {out}", err=True)
    if as_json:
        write_json(_row(record))
    else:
        write_rows([{"name": name, "value": value} for name, value in _row(record).items()])


def _save(out: Path, data: NDArray[Any]) -> None:
    content = io.BytesIO()
    np.save(content, data, allow_pickle=False)
    with publish.in_new_directory(out.absolute().parent):
        publish.create(out, content.getvalue())


def _known(columns: list[str], rows: list[dict[str, Any]], dataset: Any) -> list[str]:
    """Refuse the name of a column that no record has."""
    there = dict.fromkeys([*dataset.info()["columns"], *(name for row in rows for name in row)])
    for name in columns:
        if name not in there:
            raise UsageError(
                f"no record has {name!r}; the columns are: {', '.join(there) or 'none'}"
            )
    return columns


def _list(rows: list[dict[str, Any]], columns: list[str] | None, *, as_json: bool) -> None:
    if as_json and columns is None:
        write_json(rows)
        return
    fixed = [name for name in ("key", "shape", "dtype") if any(name in row for row in rows)]
    wanted = [*filter(None, columns or [])] or _short(rows, fixed)
    write = write_json if as_json else write_rows
    write([{name: row.get(name) for name in [*fixed, *wanted]} for row in rows])


def _short(rows: list[dict[str, Any]], fixed: list[str]) -> list[str]:
    """Choose the first names whose values are all short."""
    names = dict.fromkeys(name for row in rows for name in row if name not in fixed)
    short = [
        name for name in names if all(len(shown(name, row.get(name))) <= _SHORT for row in rows)
    ]
    return short[:_COLUMNS]
