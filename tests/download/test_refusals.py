"""What is final is asked for once, what may pass is asked for again, and nothing without an end."""

import pytest

from haversack.download.transfer import Request, transfer


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_final_answer_is_asked_for_once(server, get, make_answer, status):
    server.answer("/a", make_answer(status, b"no"))
    outcome = get("/a")["/a"]
    assert f"HTTP {status}" in outcome.error
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_asked_again(server, get, here, make_answer, status):
    def route(asked):
        after = {"Retry-After": "0"}
        return make_answer(status, b"busy", after) if asked.times < 3 else make_answer(200, b"x")

    server.answer("/a", route)
    outcome = get("/a")["/a"]
    assert (outcome.error, outcome.tries, here()) == (None, 3, {"a": b"x"})


def test_a_server_that_stays_busy_is_given_up(server, get, make_answer):
    server.answer("/a", make_answer(503, b"busy"))
    outcome = get("/a", retries=2)["/a"]
    assert "HTTP 503" in outcome.error
    assert len(server.asked) == 3


def test_a_server_that_says_to_come_back_much_later_is_not_waited_for(server, get, make_answer):
    for n in range(10):
        server.answer(f"/{n}", make_answer(503, b"busy", {"Retry-After": "3600"}))
    found = get(*(f"/{n}" for n in range(10)), concurrency=1)
    assert all("asks to wait 3,600 s" in outcome.error for outcome in found.values())
    assert len(server.asked) == 3


def test_a_stalled_transfer_is_given_up_and_others_go_on(server, get, here, make_answer, megabyte):
    server.answer("/slow", make_answer(200, megabyte, cut=10, end="stall"))
    server.file("/a", b"x")
    found = get("/slow", "/a", timeout=1, retries=0)
    assert "sent less than" in found["/slow"].error
    assert here() == {"a": b"x"}


def test_assets_of_a_dead_host_fail_together(server, get, here, tmp_path):
    server.file("/a", b"x")
    wanted = [Request(f"http://127.0.0.1:1/{n}", tmp_path / str(n)) for n in range(500)]
    wanted.insert(250, Request(server.url("/a"), tmp_path / "out" / "a"))
    found = list(transfer(wanted, source_origin=server.url("/")))
    assert sum(o.error is None for o in found) == 1
    assert all(o.error.startswith("cannot reach http://127.0.0.1:1:") for o in found if o.error)


def test_a_name_that_does_not_resolve_is_an_error(tmp_path):
    wanted = [Request(f"http://no-such-host.invalid/{n}", tmp_path / str(n)) for n in range(20)]
    found = list(transfer(wanted))
    assert all("does not resolve" in str(outcome.error) for outcome in found)


@pytest.mark.parametrize(("retries", "told"), [(0, "tried once"), (1, "tried 2 times")])
def test_how_often_a_file_was_tried_is_told_as_people_say_it(
    server, get, make_answer, retries, told
):
    server.answer("/a", make_answer(500))
    assert get("/a", retries=retries)["/a"].error.endswith(f"; {told}")


@pytest.mark.parametrize("end", ["close", "reset"])
def test_an_error_whose_body_breaks_off_is_final_all_the_same(server, get, make_answer, end):
    server.answer("/a", make_answer(403, b"x" * 1000, cut=0, end=end))
    outcome = get("/a")["/a"]
    assert "HTTP 403, access is refused" in outcome.error
    assert (outcome.tries, len(server.asked)) == (1, 1)
