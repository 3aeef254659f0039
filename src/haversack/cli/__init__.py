"""The command line: one file per verb, a skin over the library without logic of its own.

Data goes to stdout, everything else to stderr. Exit codes: 0 ok, 1 something failed and is in the
report, 2 wrong use, 3 not found, 4 a key is missing or refused, 5 the hub or a source cannot be
reached, 6 the output exists or is held, 7 damaged data, 8 the disk refuses, 130 interrupted.
"""

from __future__ import annotations

from haversack.cli.main import main

__all__ = ["main"]
