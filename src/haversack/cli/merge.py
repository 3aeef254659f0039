"""``haversack merge``: put the records of several packed datasets into one."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from haversack.cli.console import FILE_PATH, as_json, progress, verbosity, write_info


@click.command(
    "merge",
    short_help="Put several packed datasets into one.",
    epilog="Example: haversack merge north south both",
)
@click.argument("sources", nargs=-1, required=True, type=FILE_PATH)
@click.argument("output", type=FILE_PATH)
@click.option(
    "--on-conflict",
    type=click.Choice(["error", "skip", "replace"]),
    default="error",
    show_default=True,
    help="Where two records have one key: fail, keep the earlier, or the later.",
)
@click.option("--append", is_flag=True, help="Add to the dataset OUTPUT that is there.")
@verbosity
@as_json
def command(
    *,
    sources: tuple[Path, ...],
    output: Path,
    on_conflict: Literal["error", "skip", "replace"],
    append: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Copy the records of the packed datasets SOURCES, in their order, into OUTPUT.

    All of them are copied as they are stored, or none.
    """
    from haversack.packed import merge

    shown = progress(quiet=quiet, as_json=as_json)
    with merge(sources, output, on_conflict=on_conflict, append=append, progress=shown) as merged:
        write_info(merged.info(), as_json=as_json)
