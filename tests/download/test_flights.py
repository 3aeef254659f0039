"""Transfers under way: what has ended is under way until somebody takes it."""

from pathlib import Path

import pytest

from haversack.download.ending import Ending
from haversack.download.fetch import Fetch
from haversack.download.flights import Flights
from haversack.download.hosts import Host
from haversack.download.line import Network
from haversack.download.pace import Pace
from haversack.download.parts import Parts
from haversack.download.transfer import Request
from haversack.download.writer import Writer

BODY = b"x" * 100_000


@pytest.fixture
def flights(server):
    flights = Flights(Network(source=server.url("/")), 4, 30.0, Pace(None, None), None)
    yield flights
    flights.close()


def test_what_ended_but_was_not_taken_is_closed_like_the_rest(
    server, flights, tmp_path, make_answer, monkeypatch
):
    host, parts, writer = Host(4), Parts("0123abcd", synced=True), Writer(lambda _: None, Ending())
    for name in "ab":
        server.answer(f"/{name}", make_answer(200, BODY, {"ETag": '"1"'}, cut=90_000))
        flights.begin(Fetch(Request(server.url(f"/{name}"), tmp_path / name), parts, writer), host)
    step, ended = flights._multi.step, []
    while len(ended) < 2:
        ended += step(0.1)
    monkeypatch.setattr(flights._multi, "step", lambda _: ended)

    taken, _, _ = next(flights.step(0.0))
    assert (host.active, flights.none) == (1, False)
    taken.fetch.suspend()
    flights.close()
    assert host.active == 0
    left = [Path(one).stat().st_size for one in tmp_path.iterdir()]
    assert left == [90_000, 90_000]
