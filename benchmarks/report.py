"""Tables of figures, in Markdown that is also readable as it stands."""

from collections.abc import Callable, Sequence

from benchmarks.figures import Figures

Cell = Callable[[Figures, str, str], str]


def number(value: float | None) -> str:
    """Write a figure with three digits that count."""
    if value is None:
        return "-"
    if value >= 1e6:
        return f"{value / 1e6:.3g} M"
    if value >= 1e4:
        return f"{value / 1e3:.3g} k"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def plain(figures: Figures, what: str, who: str) -> str:
    """Write a figure alone."""
    return number(figures.get(what, who))


def compared(limit: str, ours: str) -> Cell:
    """Write rates with the share of the limit, and how many times ours is faster."""

    def cell(figures: Figures, what: str, who: str) -> str:
        if figures.get(what, who) is None:
            return "-"
        parts = [number(figures.get(what, who))]
        share, gain = figures.ratio(what, who, limit), figures.ratio(what, ours, who)
        parts.append("" if share is None else f"{share:.0%}" if share >= 0.1 else f"{share:.1%}")
        parts.append("" if gain is None else f"{gain:,.0f}x" if gain >= 10 else f"{gain:.2g}x")
        return " · ".join(filter(None, parts))

    return cell


def table(
    figures: Figures, title: str, names: Sequence[str], columns: Sequence[str], cell: Cell = plain
) -> str:
    """Make a table of contenders by what was measured; columns that nobody has are left out."""
    shown = [what for what in columns if figures.raw.get(what)]
    rows = [
        [who, *(cell(figures, what, who) for what in shown)]
        for who in names
        if any(figures.get(what, who) is not None for what in shown)
    ]
    return f"### {title}\n\n{lines([['', *shown], *rows])}\n" if rows else ""


def lines(rows: Sequence[Sequence[str]]) -> str:
    """Align cells: names to the left, figures to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    head, *rest = [
        "| "
        + " | ".join(
            _padded(at, cell, width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        + " |"
        for row in rows
    ]
    rule = (
        "|"
        + "|".join("-" * (w + 1) + ("-" if not at else ":") for at, w in enumerate(widths))
        + "|"
    )
    return "\n".join([head, rule, *rest])


def _padded(at: int, cell: str, width: int) -> str:
    return cell.rjust(width) if at else cell.ljust(width)


def missing(figures: Figures) -> str:
    """Say what has no figure, and why; one line for each contender and reason."""
    found: dict[tuple[str, str], list[str]] = {}
    for what, whys in figures.reasons.items():
        for who, why in whys.items():
            found.setdefault((who, why), []).append(what)
    return "".join(
        f"- {who}: no {', '.join(whats)}: {why}\n" for (who, why), whats in found.items()
    )
