"""Draw how rates change with the number of images."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.disk.stores import STORES
from benchmarks.figures import Figures
from benchmarks.report import number


def draw(path: Path, tables: Mapping[str, Figures], counts: Sequence[int]) -> bool:
    """Draw a panel for each table; False where there is nothing to draw with."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return False
    figure = Figure(figsize=(5 * len(tables), 4), layout="constrained")
    panels = figure.subplots(1, len(tables), squeeze=False)[0]
    for panel, (what, figures) in zip(panels, tables.items(), strict=True):
        for name in STORES:
            found = [(n, figures.get(number(n), name)) for n in counts]
            points = [(n, rate) for n, rate in found if rate is not None]
            if points:
                width = 2.5 if name == "haversack" else 1.2
                panel.plot(*zip(*points, strict=True), marker="o", linewidth=width, label=name)
        panel.set(xscale="log", yscale="log", xlabel="images in the dataset", title=what)
        panel.grid(alpha=0.3)
    panels[0].legend(fontsize="small")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    return True
