"""Make a hub's directory: three datasets, computed on the spot."""

from __future__ import annotations

import os
from pathlib import Path

from haversack.demo import crops, floods, soil
from haversack.errors import ExistsError
from haversack.events import Progress, task


def make_hub(
    root: str | os.PathLike[str], *, small: bool = False, seed: int = 0, progress: Progress = None
) -> list[str]:
    """Write a small believable hub of generated datasets, the same for the same seed.

    Parameters
    ----------
    root
        Directory to write into; created when missing. Other datasets in it stay as they are.
    small
        A few dozen tiny assets in well under a second, for tests and examples; otherwise about
        1,300 assets of 80 MB.
    seed
        Another seed gives another world.
    progress
        True draws a bar, a callable is told of each :class:`~haversack.events.Event`.

    Returns
    -------
    list of str
        Ids of the datasets, each a directory in ``root``.

    Raises
    ------
    ExistsError
        One of the datasets is there already.
    MissingExtraError
        rasterio is not installed.

    Examples
    --------
    >>> make_hub("hub", small=True)
    ['demo_crop_seasons', 'demo_flood_events', 'demo_soil_moisture_points']
    >>> (Path("hub") / "demo_flood_events" / "catalog.json").exists()
    True
    """
    hub = Path(root)
    for about in (crops.ABOUT, floods.ABOUT, soil.ABOUT):
        if (hub / about.id).exists():
            raise ExistsError(
                f"{hub / about.id} already exists: give another directory, or remove it"
            )
    total = sum(part.planned(small=small) for part in (crops, floods, soil))
    with task(progress, "make hub", total=total, unit="asset") as work:
        return [
            make(hub, seed, small=small, wrote=work.advance)
            for make in (crops.make_crops, floods.make_floods, soil.make_soil)
        ]
