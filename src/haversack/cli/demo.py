"""``haversack demo``: the main job from end to end, on a hub made on the spot."""

from __future__ import annotations

from pathlib import Path

import click

from haversack.cli.console import FILE_PATH


@click.command(
    "demo",
    short_help="Show all of it on a hub made on the spot.",
    epilog="Example: haversack demo --keep demo-data",
)
@click.option(
    "-o",
    "--output",
    type=FILE_PATH,
    default=Path("haversack-demo"),
    show_default=True,
    help="Where the pictures go.",
)
@click.option(
    "--keep",
    type=FILE_PATH,
    metavar="DIR",
    help="Leave the hub, the download and the packed dataset in DIR.",
)
@click.option("--small", is_flag=True, help="A few dozen assets only.")
def command(*, output: Path, keep: Path | None, small: bool) -> None:
    """Make a small hub, serve it, list, download, pack, train and draw: in under a minute."""
    from haversack.demo import run

    run(output, keep=keep, small=small)
