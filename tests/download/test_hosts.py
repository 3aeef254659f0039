"""Each host by itself: patience where it helps, an end where it does not."""

import logging

import pytest

from haversack.download import hosts
from haversack.download.failure import Failure, Kind
from haversack.download.hosts import Host

GONE = Failure(Kind.CONNECT, "cannot reach it")
BUSY = Failure(Kind.BUSY, "busy", 5.0)
LATER = Failure(Kind.BUSY, "come back in an hour", 3600.0)


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 1000.0

        def monotonic(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(hosts, "time", clock)
    return clock


def test_a_volley_of_failed_connections_counts_once(clock):
    host = Host(16)
    for _ in range(16):
        host.failed(GONE, 1)
    assert host.dead is None


def test_a_host_that_nobody_reached_is_given_up_after_three_volleys(clock):
    host, began = Host(16), clock.now
    while host.dead is None:
        clock.now += host.failed(GONE, 1)
    assert host.dead == "cannot reach it"
    assert clock.now - began < 3


def test_a_silent_host_is_given_up_after_one(clock):
    host = Host(16)
    clock.now += 10
    host.failed(GONE, 1)
    assert host.dead is not None


def test_a_host_that_was_there_gets_a_minute(clock):
    host, began = Host(16), clock.now
    host.answered()
    while host.dead is None:
        clock.now += host.failed(GONE, 1)
    assert 60 <= clock.now - began < 90


def test_a_host_that_was_there_and_now_refuses_gets_a_quarter_of_it_and_one_warning(clock, caplog):
    host, began = Host(16, "https://a.example"), clock.now
    host.answered()
    while host.dead is None:
        clock.now += host.failed(Failure(Kind.CONNECT, "cannot reach it", refused=True), 1)
    assert 15 <= clock.now - began < 30
    said = "https://a.example does not answer: trying again for 15 s"
    assert [record.message for record in caplog.records] == [said]


def test_an_answer_ends_the_streak(clock):
    host = Host(16)
    for _ in range(10):
        clock.now += host.failed(GONE, 1) + 1
        host.answered()
    assert host.dead is None


def test_a_busy_host_is_left_alone_as_long_as_it_asks_and_asked_less(clock):
    host = Host(16)
    host.waiting.append(None)  # type: ignore[arg-type]
    assert host.ready(clock.now)
    host.failed(BUSY, 1)
    assert not host.ready(clock.now + 4.9)
    assert host.ready(clock.now + 5.1)
    host.active = 8
    assert not host.ready(clock.now + 5.1)
    host.second_passed()
    assert host.ready(clock.now + 5.1)


def test_what_a_host_asks_to_wait_is_logged_once(clock, caplog):
    host = Host(16, "https://a.example")
    with caplog.at_level(logging.INFO, "haversack.download"):
        for _ in range(8):
            host.failed(BUSY, 1)
    said = "https://a.example is busy: asked again in 5 s, as it says"
    assert [record.message for record in caplog.records] == [said]


def test_a_host_that_sends_everybody_away_is_given_up(clock):
    host = Host(16)
    host.waiting.append(None)  # type: ignore[arg-type]
    for _ in range(2):
        host.failed(LATER, 1)
    host.answered()
    for _ in range(2):
        host.failed(LATER, 1)
    assert host.dead is None
    assert host.ready(clock.now)
    host.failed(LATER, 1)
    assert host.dead == "the host asks to wait 3,600 s"
