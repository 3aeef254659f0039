"""``haversack view``: draw a plane, a projection or a trace of a split array."""

from __future__ import annotations

import warnings
from pathlib import Path

import click

from haversack.cli.console import FILE_PATH, TakesIndex, verbose
from haversack.cli.indices import parse_index
from haversack.errors import UsageError

_PROJECTIONS = ["max", "mean", "min", "std", "sum"]


@click.command(
    "view",
    cls=TakesIndex,
    short_help="Draw a plane, a projection or a trace of a split array.",
    epilog='Example: haversack view series "12, 3" --out plane.png',
)
@click.argument("array", type=FILE_PATH)
@click.argument("index", default="...")
@click.option(
    "--project", type=click.Choice(_PROJECTIONS), help="Over all axes but the last two that remain."
)
@click.option(
    "--out",
    type=FILE_PATH,
    required=True,
    help="The PNG to write; never one that is there.",
)
@verbose
def command(*, array: Path, index: str, project: str | None, out: Path) -> None:
    """Draw what INDEX leaves of the split ARRAY: two axes as a plane, one as a trace.

    INDEX is integers and slices as in numpy's brackets: "12, 3" is one plane of a series of
    volumes, ":, 3, 40, 40" the trace of a pixel. Of more than two axes the middle of the first ones
    is shown.
    """
    from haversack.split import SplitDataset
    from haversack.view import draw_array

    if out.suffix.lower() != ".png":
        raise UsageError(f"the picture is a PNG: give --out a name that ends in .png, not {out}")
    dataset = SplitDataset(array)
    try:
        view = dataset.view[parse_index(index)]
    except IndexError as error:
        raise UsageError(f"{index!r} does not fit {dataset.shape}: {error}") from error
    with warnings.catch_warnings():
        # A character that no font here has is drawn as a box, which says it.
        warnings.filterwarnings("ignore", r"Glyph \d+", UserWarning)
        drawn = draw_array(view, out, project=project, overwrite=False)
    click.echo(f"wrote {drawn}", err=True)
