"""Run the benchmarks: ``python -m benchmarks [SUITE ...] [--quick]`` (``make bench`` runs all)."""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.catalog.suite import Suite as Catalog
from benchmarks.disk.suite import Suite as Disk
from benchmarks.download.suite import Suite as Download
from benchmarks.gpu.suite import Suite as Gpu
from benchmarks.loader.suite import Suite as Loader
from benchmarks.machine import describe
from benchmarks.records.suite import Suite as Records
from benchmarks.split.suite import Suite as Split

SUITES = {
    "catalog": Catalog,
    "records": Records,
    "split": Split,
    "disk": Disk,
    "loader": Loader,
    "download": Download,
    "gpu": Gpu,
}
_RESULTS = Path("build/bench")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure.")
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"of {', '.join(SUITES)}")
    parser.add_argument("--quick", action="store_true", help="about two minutes; noisy")
    parser.add_argument("--scratch", type=Path, default=_RESULTS, help="where to write data")
    parser.add_argument(
        "--environments", type=Path, default=Path(sys.prefix), help="where the peers' are"
    )
    given = parser.parse_args()
    if unknown := set(given.suites) - set(SUITES):
        parser.error(f"no suite {', '.join(unknown)}")
    given.scratch.mkdir(parents=True, exist_ok=True)
    for name in given.suites or SUITES:
        _run(name, given)


def _run(name: str, given: argparse.Namespace) -> None:
    machine, start = describe(given.scratch), time.perf_counter()
    print(f"## {name}\n\n" + "".join(f"- {what}: {is_}\n" for what, is_ in machine.items()))
    with tempfile.TemporaryDirectory(prefix=f"{name}-", dir=given.scratch.resolve()) as scratch:
        found = SUITES[name](Path(scratch), given.environments.resolve(), quick=given.quick).run()
    spent = time.perf_counter() - start
    _RESULTS.mkdir(parents=True, exist_ok=True)
    result = {"quick": given.quick, "seconds": spent, "machine": machine, **found}
    path = _RESULTS / f"{name}.json"
    path.write_text(json.dumps(result, indent=1))
    for who, versions in found["versions"].items():
        print(f"- {who}: " + ", ".join(f"{package} {is_}" for package, is_ in versions.items()))
    print(f"\n{spent:.0f} s; all figures are in {path}")


if __name__ == "__main__":
    main()
