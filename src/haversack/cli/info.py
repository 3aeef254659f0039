"""``haversack info``: what stands at a path, or what a hub says of a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from haversack.cli.console import (
    FILLED_TEXT,
    as_json,
    of_version,
    open_version,
    verbose,
    write_info,
)
from haversack.cli.finding import is_address, looks_like_path, refuse_hub
from haversack.cli.hub_options import hub_options
from haversack.errors import HaversackError, NoHubError, PathNotFoundError, UsageError


@click.command(
    "info",
    short_help="Say what a path or a dataset of a hub holds.",
    epilog="Example: haversack info chips",
)
@click.argument("target", type=FILLED_TEXT)
@of_version
@hub_options
@verbose
@as_json
def command(
    *,
    target: str,
    version: str | None,
    hub: str | None,
    profile: str | None,
    api_key: str | None,
    as_json: bool,
) -> None:
    """Say what TARGET is: a path, or the id or DOI of a hub's dataset.

    A path may be a packed dataset, a split array, a DiskDataset, a downloaded catalog or a catalog
    archive (.tar.gz).
    """
    options = {"hub": hub, "profile": profile, "api_key": api_key}
    here = Path(target).exists() and not any(options.values())
    if here or is_address(target) or looks_like_path(target):
        refuse_hub(options, f"{target} is none")
        write_info(open_version(target, version).info(), as_json=as_json)
        return
    if version is not None:
        raise UsageError(f"--version is for packed datasets, and there is no path {target}")
    from haversack.hub import Dataset

    try:
        dataset = Dataset.fetch(target, api_key=api_key, profile=profile, root_url=hub)
    except HaversackError as error:
        # Where no hub is set, a path is what was meant.
        kind = PathNotFoundError if isinstance(error, NoHubError) else type(error)
        missing = "" if Path(target).exists() else f"there is no path {target}; "
        raise kind(f"{missing}as a dataset of a hub: {error}") from error
    write_info(_of_hub(dataset), as_json=as_json)


def _of_hub(dataset: Any) -> dict[str, Any]:
    return {
        "id": dataset.id,
        "title": dataset.title,
        "doi": dataset.doi,
        "citation": dataset.citation,
        "catalog bytes": dataset.stac_catalog_size,
        "estimated bytes": dataset.estimated_dataset_size,
        "collections": [
            {"id": collection.id, "description": collection.description}
            for collection in dataset.collections
        ],
    }
