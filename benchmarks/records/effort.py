"""How long to measure."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Effort:
    """Rounds of turns, and how many seconds one turn may take."""

    rounds: int = 3
    seconds: float = 0.2
    longest: float = 1.0  # of a scan or an epoch; a build that takes longer is not repeated
    first_touch: float = 3.0  # of all records, before warm reads; only slow ones need so long
    cold_rounds: int = 2
    cold_only_batches: bool = False
    workers: int = 2  # that build at once; 1: that is left out


FULL = Effort()
RAGGED = Effort(rounds=2, cold_rounds=1, cold_only_batches=True, workers=1)
QUICK = Effort(
    rounds=1, seconds=0.1, longest=0.5, first_touch=1.0, cold_rounds=1, cold_only_batches=True
)
QUICK_RAGGED = replace(QUICK, workers=1)
