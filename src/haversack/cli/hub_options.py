"""The options that name a hub and its key, the same for every verb that asks one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def hub_options(command: Command) -> Command:
    """Add ``--hub``, ``--profile`` and ``--api-key``."""
    for option in (
        click.option("--api-key", metavar="KEY", help="Key of the hub (safer: MLHUB_API_KEY)."),
        click.option("--profile", metavar="NAME", help="Section of the profiles file."),
        click.option("--hub", metavar="URL", help="Root URL of the hub (else MLHUB_ROOT_URL)."),
    ):
        command = option(command)
    return command
