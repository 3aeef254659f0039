"""Run the benchmarks: ``python -m benchmarks [suite ...]`` (``make bench`` runs all)."""

import os
import platform
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks import records
from benchmarks.table import show

SUITES = {"records": records.run}


def main() -> None:
    chosen = sys.argv[1:] or list(SUITES)
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"numpy {np.__version__}, {platform.system()} {platform.release()}"
    )
    for name in chosen:
        with tempfile.TemporaryDirectory(prefix="haversack-bench-") as directory:
            show(name, SUITES[name](Path(directory)))


main()
