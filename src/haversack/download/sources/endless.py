"""Tell a listing that has no end from one that is long: servers can answer nothing for ever."""

from __future__ import annotations

import logging
from typing import Any

from haversack.download.origin import shown
from haversack.errors import UnexpectedAnswerError

DEEPEST = 64  # folders or catalogs in each other
_IDLE = 1000
_TOLD = 100

log = logging.getLogger("haversack.download")


class Pages:
    """Counts the pages of one listing, and those in a row that bring nothing new.

    Attributes
    ----------
    endless
        Whether there were so many of those that it was given up.
    """

    def __init__(self) -> None:
        self._count = self._idle = 0
        self._last: Any = None

    @property
    def endless(self) -> bool:
        return self._idle >= _IDLE

    def note(self, url: str, found: Any) -> None:
        """Count a page by what is in it.

        Raises
        ------
        UnexpectedAnswerError
            Too many in a row were empty, or the same as the one before.
        """
        self._count += 1
        self._idle = self._idle + 1 if not found or found == self._last else 0
        self._last = found
        if self._count % _TOLD == 0:
            log.info("%s: %d pages read, and there are more", shown(url), self._count)
        if self.endless:
            raise UnexpectedAnswerError(
                f"{shown(url)}: {_IDLE:,} pages in a row bring nothing new and lead to more: "
                "taken for a listing without an end"
            )


def check_depth(depth: int, url: str) -> None:
    """Refuse what is in so many folders or catalogs that they can have no end.

    Raises
    ------
    UnexpectedAnswerError
        It is.
    """
    if depth > DEEPEST:
        raise UnexpectedAnswerError(
            f"{shown(url)} is more than {DEEPEST} levels below the source: taken for one without "
            "an end"
        )
