"""What was measured: all raw figures, their medians, and why some are missing."""

from statistics import median
from typing import Any


class Figures:
    """Figures of one thing (a set of records, say): by what is measured, then by contender."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.raw: dict[str, dict[str, list[float]]] = {}
        self.reasons: dict[str, dict[str, str]] = {}

    def add(self, what: str, who: str, figure: float) -> None:
        self.raw.setdefault(what, {}).setdefault(who, []).append(figure)

    def fail(self, what: str, who: str, reason: str) -> None:
        """Note why there is no figure, or no more of them."""
        self.reasons.setdefault(what, {})[who] = reason

    def get(self, what: str, who: str) -> float | None:
        """Give the median of all rounds."""
        found = self.raw.get(what, {}).get(who)
        return median(found) if found else None

    def reason(self, what: str, who: str) -> str | None:
        return self.reasons.get(what, {}).get(who)

    def ratio(self, what: str, who: str, other: str) -> float | None:
        """Divide one contender's figure by another's."""
        mine, theirs = self.get(what, who), self.get(what, other)
        return None if mine is None or not theirs else mine / theirs

    def plain(self) -> dict[str, Any]:
        """Give everything, for JSON."""
        return {"title": self.title, "figures": self.raw, "missing": self.reasons}
