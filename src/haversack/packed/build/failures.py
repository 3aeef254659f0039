"""Items that cannot be packed: each is named, and what was wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from haversack.errors import HaversackError, UsageError

_SHOWN: Final = 200  # letters of an item in a message


@dataclass(frozen=True, slots=True)
class Skipped:
    """An item that could not be packed: its number, its ``repr`` (cut), and what was wrong."""

    number: int
    item: str
    error: str

    def __str__(self) -> str:
        return f"item {self.number} ({self.item}): {self.error}"


@dataclass(frozen=True, slots=True)
class Failure:
    """An item that cannot be packed, and why."""

    number: int
    item: str
    error: Exception

    @classmethod
    def of(cls, number: int, item: Any, error: Exception) -> Failure:
        return cls(number, shown(item), error)

    def skipped(self) -> Skipped:
        return Skipped(self.number, self.item, _said(self.error))

    def named(self) -> Exception:
        """Make the error that names the item; it keeps its class where that is one of ours."""
        message = str(self.skipped())
        ours = isinstance(self.error, HaversackError)
        return type(self.error)(message) if ours else UsageError(message)


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def shown(item: Any) -> str:
    """Show an item in a message."""
    try:
        return repr(item)[:_SHOWN]
    except Exception:  # noqa: BLE001 (of the item's own class)
        return f"a {type(item).__name__}"
