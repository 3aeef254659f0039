"""What ``verify`` finds, in the same words for everything on disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Damage:
    """One thing that is wrong: in which file, where in it (record, chunk, item), and what.

    ``refused`` tells what the disk did not let us read, of which nobody knows whether it is whole.
    """

    path: Path
    where: str
    what: str
    refused: bool = False

    def __post_init__(self) -> None:
        # What an error says begins with its file, which is told anyway.
        object.__setattr__(self, "what", self.what.removeprefix(f"{self.path}: "))

    def __str__(self) -> str:
        place = f"{self.path}: {self.where}" if self.where else str(self.path)
        return f"{place}: {self.what}"
