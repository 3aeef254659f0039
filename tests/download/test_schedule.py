"""Each host has its turn."""

from types import SimpleNamespace
from typing import Any

from haversack.download.failure import Failure, Kind
from haversack.download.origin import Origin
from haversack.download.pace import Pace
from haversack.download.schedule import Schedule

A, B, C = (Origin.of(f"https://{name}.example/") for name in "abc")


def from_host(origin) -> Any:
    """Stand in for a fetch, of which a schedule looks at its origin alone."""
    return SimpleNamespace(origin=origin)


def fill(schedule, **counts):
    for name, count in counts.items():
        for _ in range(count):
            assert schedule.place(from_host(globals()[name])) is None


def taken(schedule, count):
    """Names of the hosts whose turn it is, one after another."""
    found = (schedule.next(1e9) for _ in range(count))
    return "".join(one[0].origin.host[0] if one else "-" for one in found)


def test_hosts_take_turns_whatever_each_has_waiting():
    schedule = Schedule(4, Pace(None, None))
    fill(schedule, A=4, B=2, C=1)
    assert taken(schedule, 8) == "abcabaa-"
    fill(schedule, B=1, A=1)
    assert taken(schedule, 3) == "ba-"


def test_a_host_that_is_full_is_passed_over_and_comes_back():
    schedule = Schedule(1, Pace(None, None))
    fill(schedule, A=3, B=3)
    host = schedule.host(A)
    host.active = 1
    assert taken(schedule, 2) == "bb"
    host.active = 0
    assert taken(schedule, 5) == "abaa-"


def test_the_rate_holds_for_all_hosts_together():
    schedule = Schedule(4, pace := Pace(None, 0.001))
    fill(schedule, A=1, B=1)
    assert taken(schedule, 1) == "a"
    pace.take_request()
    assert taken(schedule, 1) == "-"
    assert schedule.wait(0.0) > 1


def test_a_host_that_is_given_up_has_no_more_turns():
    schedule = Schedule(4, Pace(None, None))
    fill(schedule, A=2, B=2)
    host = schedule.host(A)
    while host.dead is None:
        host._not_before = 0.0
        host.failed(Failure(Kind.CONNECT, "nobody is there"), 1)
    assert len(list(schedule.give_up(host))) == 2
    assert schedule.place(from_host(A)) == "nobody is there"
    assert taken(schedule, 3) == "bb-"
    assert list(schedule.left()) == []


def test_all_that_waits_is_left_at_the_end():
    schedule = Schedule(4, Pace(None, None))
    fill(schedule, A=2, B=1)
    schedule.delay(from_host(C), 5.0)
    assert len(list(schedule.left())) == 4
