"""Limits hold for all transfers together, and hold nobody up for longer than they must."""

import itertools
import time

import pytest

from haversack.download.pace import Pace
from haversack.download.transfer import Request, transfer


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.mark.parametrize("sizes", [[16_384] * 400, [1] * 2000, [100_000, 1, 20_000] * 20])
def test_bytes_never_get_ahead_of_their_rate(sizes):
    clock = Clock()
    pace, taken = Pace(10_000, None, clock), 0
    for size in sizes:
        clock.now += pace.until_bytes()
        pace.take_bytes(size)
        taken += size
        # What may come at once is a quarter of a second's, and what was begun with that.
        assert taken - size <= 10_000 * (clock.now - 100 + 0.25) + 1
    assert clock.now - 100 == pytest.approx((taken - sizes[-1]) / 10_000 - 0.25, abs=max(sizes))
    assert clock.now + pace.until_bytes() - 100 >= taken / 10_000 - 0.25 - 1e-6


def test_a_silence_is_not_saved_up():
    clock = Clock()
    pace = Pace(1000, None, clock)
    clock.now += 1000
    pace.take_bytes(250)
    assert pace.until_bytes() == 0
    pace.take_bytes(5000)
    assert pace.until_bytes() == pytest.approx(5)


def test_requests_are_spaced():
    clock = Clock()
    pace, sent = Pace(None, 10, clock), []
    for _ in range(5):
        clock.now += pace.until_request()
        pace.take_request()
        sent.append(clock.now)
    gaps = [after - before for before, after in itertools.pairwise(sent)]
    assert gaps == pytest.approx([0.1] * 4)


def test_a_limited_transfer_brings_everything(server, tmp_path):
    bodies = {f"/{n}": bytes([n]) * 60_000 for n in range(8)}
    wanted = [
        Request(server.file(path, body), tmp_path / path[1:]) for path, body in bodies.items()
    ]
    outcomes = list(
        transfer(
            wanted,
            source_origin=server.url("/"),
            max_bytes_per_second=15_000_000,
            max_requests_per_second=200,
            timeout=0.2,
        )
    )
    assert [outcome.error for outcome in outcomes] == [None] * 8
    assert all((tmp_path / path[1:]).read_bytes() == body for path, body in bodies.items())


@pytest.mark.parametrize(("files", "size"), [(1, 1_200_000), (12, 100_000), (60, 20_000)])
def test_a_transfer_takes_as_long_as_its_bytes_at_the_rate(server, tmp_path, files, size):
    wanted = [
        Request(server.file(f"/{n}", bytes([n]) * size), tmp_path / str(n)) for n in range(files)
    ]
    began = time.monotonic()
    outcomes = list(transfer(wanted, source_origin=server.url("/"), max_bytes_per_second=1e6))
    # All but a quarter of a second's, and the last bytes that came at once.
    assert time.monotonic() - began >= 1.2 - 0.25 - 0.1
    assert [outcome.error for outcome in outcomes] == [None] * files
    assert all((tmp_path / str(n)).read_bytes() == bytes([n]) * size for n in range(files))


def test_what_waits_for_its_turn_does_not_count_as_stalled(server, tmp_path):
    wanted = [Request(server.file(f"/{n}", b"x" * 20_000), tmp_path / str(n)) for n in range(4)]
    outcomes = transfer(
        wanted, source_origin=server.url("/"), max_bytes_per_second=40_000, timeout=0.2
    )
    assert [(outcome.error, outcome.tries) for outcome in outcomes] == [(None, 1)] * 4


def test_what_stalls_is_found_out_though_others_wait_for_their_turn(server, tmp_path, make_answer):
    cut = make_answer(200, b"x" * 3000, cut=500, end="stall")
    wanted = [
        Request(server.answer("/stalls", cut), tmp_path / "stalls"),
        Request(server.file("/long", b"x" * 150_000), tmp_path / "long"),
    ]
    options = {"source_origin": server.url("/"), "timeout": 0.5, "retries": 0}
    outcomes = transfer(wanted, max_bytes_per_second=60_000, **options)
    first = next(outcomes)
    assert "sent less than" in str(first.error)
    assert [outcome.error for outcome in outcomes] == [None]


def test_what_is_refused_while_it_waits_is_refused_all_the_same(server, tmp_path, make_answer):
    page = make_answer(200, b"<html>" * 20_000, {"Content-Type": "text/html"})
    for n in range(3):
        server.answer(f"/{n}", page)
    wanted = [Request(server.url(f"/{n}"), tmp_path / str(n)) for n in range(3)]
    outcomes = transfer(
        wanted, source_origin=server.url("/"), max_bytes_per_second=50_000, timeout=5.0
    )
    assert all("text/html" in str(outcome.error) for outcome in outcomes)
