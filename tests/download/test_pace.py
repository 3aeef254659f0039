"""Limits hold for all transfers together, and hold nobody up for longer than they must."""

import itertools

import pytest

from haversack.download.pace import Pace
from haversack.download.transfer import Request, transfer


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def test_bytes_come_at_their_rate():
    clock = Clock()
    pace = Pace(1000, None, clock)
    received = 0
    for _ in range(50):
        received += 500
        clock.now += pace.until_bytes(received)
    assert 24.5 < clock.now - 100 < 25.1


def test_a_silence_is_not_saved_up():
    clock = Clock()
    pace = Pace(1000, None, clock)
    pace.until_bytes(1000)
    clock.now += 1000
    assert pace.until_bytes(1000) == 0
    assert pace.until_bytes(6000) > 4.5


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
            max_bytes_per_second=1_500_000,
            max_requests_per_second=200,
            timeout=0.2,
        )
    )
    assert [outcome.error for outcome in outcomes] == [None] * 8
    assert all((tmp_path / path[1:]).read_bytes() == body for path, body in bodies.items())
