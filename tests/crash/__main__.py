"""Every fault and every power cut, with a table of what was tried (``make crash``)."""

import sys
import time

from . import ptrace
from .jobs import jobs_of, run_all
from .place import Tally
from .published import ALL

_COLUMNS = {
    "kill": "kills",
    "errno": "errors",
    "hold": "holds",
    "power cut": "power cuts",
    "then power cut": "cuts after a fault",
    "sync left out": "syncs left out",
}


def main(names):
    """Run the scenarios of these names, or all; give the exit status."""
    if (reason := ptrace.missing()) is not None:
        print(f"make crash {reason}", file=sys.stderr)
        return 1
    began, tallies = time.monotonic(), {name: Tally() for name in names or ALL}
    jobs = [job for name in tallies for job in jobs_of(ALL[name])]
    for done, (job, tally) in enumerate(run_all(jobs), 1):
        tallies[job.scenario].add(tally)
        _say_how_far(done, len(jobs), began)
        for problem in tally.wrong:
            print(problem, file=sys.stderr)
    print(table(tallies))
    print(f"{time.monotonic() - began:.0f} s")
    return int(any(tally.wrong for tally in tallies.values()))


def _say_how_far(done, total, began):
    seconds = time.monotonic() - began
    if sys.stderr.isatty():
        print(f"\r{done} of {total}, {seconds:.0f} s ", end="", file=sys.stderr, flush=True)
    elif done % 50 == 0:
        print(f"{done} of {total}, {seconds:.0f} s", file=sys.stderr, flush=True)


def table(tallies):
    """Write what was tried, a line for each scenario."""
    total = Tally()
    for tally in tallies.values():
        total.add(tally)
    lines = [("scenario", *_COLUMNS.values(), "violations")]
    for name, tally in (*tallies.items(), ("all", total)):
        counts = dict.fromkeys(_COLUMNS, 0)
        for kind, count in tally.counts.items():
            counts[_column(kind)] += count
        lines.append((name, *(f"{count:,}" for count in counts.values()), str(len(tally.wrong))))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])])
        for line in lines
    )


def _column(kind):
    if kind.endswith("then power cut"):
        return "then power cut"
    return kind if kind in _COLUMNS else "errno"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
