"""``demo_soil_moisture_points``: stations that measure the soil, month by month."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from haversack.demo import files
from haversack.demo.tree import About, Asset, DatasetTree, Item

ABOUT = About(
    id="demo_soil_moisture_points",
    title="Soil Moisture at Generated Stations",
    description=(
        "Daily soil moisture, rain and temperature at stations, one item per station and month. "
        "Everything in it was computed: no such station stands."
    ),
    doi="10.5555/haversack.soil",
    tags=("soil moisture", "regression", "in situ", "time series"),
    tools="haversack demo",
)
COLLECTION = "demo_soil_moisture_points_labels"
_FEW, _MANY = (4, (4, 5)), (24, (4, 6, 8))
_COLUMNS = ("date", "moisture_percent", "rain_mm", "temperature_c")
_LABEL = "https://stac-extensions.github.io/label/v1.0.1/schema.json"


def planned(*, small: bool) -> int:
    """Count the assets that items and all of them share."""
    stations, months = _FEW if small else _MANY
    return stations * len(months) * 2 + 4


def make_soil(hub: Path, seed: int, *, small: bool, wrote: Callable[[int], None]) -> str:
    """Write the dataset into a hub's directory and return its id."""
    rng = np.random.default_rng([seed, 3])
    stations, months = _FEW if small else _MANY
    tree = DatasetTree(hub, ABOUT, wrote)
    _add_common(tree, stations)
    collection = tree.collection(
        COLLECTION,
        title=ABOUT.title,
        description="Measurements of one station through one month, as a table and as a feature.",
        kind="labels",
        extensions=(_LABEL,),
    )
    for number in range(stations):
        spot = [round(-115.9 + rng.uniform(0, 1.4), 6), round(42.3 + rng.uniform(0, 1.0), 6)]
        days, values = _measure(rng)
        for month in months:
            inside = np.array([day.month == month for day in days])
            collection.add(
                _item(number, spot, [d for d in days if d.month == month], values[inside])
            )
    tree.finish()
    return ABOUT.id


def _add_common(tree: DatasetTree, stations: int) -> None:
    guide = [ABOUT.description, "", f"Columns of measurements.csv: {', '.join(_COLUMNS)}."]
    pdf = files.pdf(ABOUT.title, guide)
    tree.add_common("documentation", Asset(pdf, "pdf", "Documentation", ("metadata",)))
    readme = f"# {ABOUT.title}\n\n{ABOUT.description}\n".encode()
    tree.add_common("readme", Asset(readme, "md", "Read me", ("metadata",)))
    names = [f"{number:04d}" for number in range(stations)]
    held_out = len(names) // 4
    for key, part in (("train_split", names[held_out:]), ("test_split", names[:held_out])):
        rows = [[name] for name in part]
        tree.add_common(key, Asset(files.table(["station"], rows), "csv", key, ("metadata",)))


def _measure(rng: np.random.Generator) -> tuple[list[date], NDArray[np.float64]]:
    """Compute a year: (days, 3) of moisture, rain and temperature."""
    days = [date(2022, 1, 1) + timedelta(days=n) for n in range(365)]
    season = -np.cos(2 * np.pi * (np.arange(365) - 20) / 365)
    warmth = 9 + 13 * season + np.convolve(rng.normal(0, 3.2, 371), np.ones(7) / 7, "valid")
    rain = np.where(rng.random(365) < 0.27 - 0.1 * season, rng.gamma(0.9, 6.5, 365), 0.0)
    moisture, level = np.empty(365), rng.uniform(18, 30)
    rate = rng.uniform(0.012, 0.022)
    for day in range(365):
        level += 0.55 * rain[day] * (1 - level / 46) - rate * max(warmth[day], 1) * (level - 6) / 16
        level = min(max(level, 5.0), 46.0)
        moisture[day] = level
    return days, np.round(np.stack([moisture + rng.normal(0, 0.3, 365), rain, warmth], 1), 2)


def _item(number: int, spot: list[float], days: list[date], values: NDArray[np.float64]) -> Item:
    name = f"{number:04d}"
    point: dict[str, Any] = {"type": "Point", "coordinates": spot}
    mean = round(float(values[:, 0].mean()), 2)
    rows = [[day.isoformat(), *line] for day, line in zip(days, values.tolist(), strict=True)]
    feature = files.features([(point, {"station": name, "moisture_percent": mean})])
    return Item(
        id=f"{COLLECTION}_{name}_{days[0]:%Y%m}",
        geometry=point,
        when=(f"{days[0]}T00:00:00Z", f"{days[-1]}T23:59:59Z"),
        properties={
            "station": name,
            "label:type": "vector",
            "label:tasks": ["regression"],
            "label:properties": ["moisture_percent"],
            "label:description": "Mean volumetric soil moisture of the month",
            "moisture_percent": mean,
        },
        assets={
            "labels": Asset(feature, "geojson", "Mean of the month", ("labels",)),
            "measurements": Asset(files.table(_COLUMNS, rows), "csv", "Daily measurements"),
        },
    )
