"""What was acknowledged outlives kills at any system call, errors of the disk, and power cuts.

A sample of what ``make crash`` tries in full.
"""

import sys
from pathlib import Path

import pytest

from .jobs import Job, run_all, run_job, sample_of
from .place import Tally
from .published import ALL

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def tallies():
    # The processes that run the jobs import them by name.
    sys.path.append(str(Path(__file__).parents[2]))
    jobs = [job for at, one in enumerate(ALL.values()) for job in sample_of(one, at)]
    found = {name: Tally() for name in ALL}
    for job, tally in run_all(jobs):
        found[job.scenario].add(tally)
    sys.path.pop()
    return found


@pytest.mark.parametrize("name", ALL)
def test_faults_and_power_cuts_break_no_promise(tallies, name):
    tally = tallies[name]
    assert not tally.wrong, "\n\n".join(tally.wrong)
    assert tally.counts["kill"] == 1
    assert tally.counts["power cut"] > 10


@pytest.mark.slow
def test_a_sync_that_is_left_out_is_noticed():
    tally = run_job(Job("journal", "unsynced"))
    assert tally.counts["sync left out"] == 10
    assert not tally.wrong
