"""A body that breaks off is gone on with or begun anew, never spliced, never half published."""

import os

import pytest


@pytest.mark.parametrize("end", ["close", "reset"])
def test_a_body_cut_short_goes_on_where_it_ended(server, get, here, serve_ranges, end, megabyte):
    def route(asked):
        answer = serve_ranges(asked, megabyte)
        if asked.times == 1:
            answer.cut, answer.end = 600_000, end
        return answer

    server.answer("/a", route)
    outcome = get("/a")["/a"]
    assert (outcome.error, outcome.tries) == (None, 2)
    assert here() == {"a": megabyte}
    # After a reset the kernel may drop what it has not delivered.
    if end == "close":
        assert server.asked[1].headers["if-range"] == '"1"'
        assert server.asked[1].headers["range"] == "bytes=600000-"


def test_a_body_that_is_always_cut_short_is_never_published(
    server, get, here, make_answer, megabyte
):
    server.answer("/a", make_answer(200, megabyte, cut=600_000))
    outcome = get("/a", retries=2)["/a"]
    assert "broke off" in outcome.error
    assert outcome.size == 0
    # Without a validator not even a part is worth keeping.
    assert here() == {}


def test_a_chunked_body_cut_short_is_never_published(server, get, here, make_answer):
    raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n0123456789abcdef\r\n"
    server.answer("/a", make_answer(raw=raw))
    assert get("/a", retries=1)["/a"].error is not None
    assert here() == {}


def test_a_server_that_starts_anew_each_time_and_cuts_is_given_up(server, get, make_answer):
    body = bytes(3_000_000)
    server.answer("/a", make_answer(200, body, {"ETag": '"1"'}, cut=2_000_000))
    outcome = get("/a", retries=2)["/a"]
    assert "tried 4 times" in outcome.error
    # The first brought something new, the others nothing.
    assert outcome.tries == len(server.asked) == 4


def test_a_server_that_gives_little_at_once_is_asked_for_the_rest(server, get, here, serve_ranges):
    body = os.urandom(1_500_000)

    def route(asked):
        answer = serve_ranges(asked, body)
        if asked.times == 1:
            answer.cut = 100_000
        else:
            start = int(asked.headers["range"][6:-1])
            answer.body = body[start : start + 100_000]
            last = start + len(answer.body) - 1
            answer.headers["Content-Range"] = f"bytes {start}-{last}/{len(body)}"
        return answer

    server.answer("/a", route)
    outcome = get("/a", retries=0)["/a"]
    assert (outcome.error, outcome.tries, here()) == (None, 15, {"a": body})


def test_a_server_that_gives_a_byte_at_once_is_given_up(server, get, serve_ranges, megabyte):
    def route(asked):
        answer = serve_ranges(asked, megabyte)
        answer.cut = 1
        return answer

    server.answer("/a", route)
    assert "broke off" in get("/a", retries=3)["/a"].error
    assert len(server.asked) == 4


@pytest.mark.parametrize("size", [1, 1000, 100_000])
def test_a_small_file_may_come_in_pieces_but_not_in_endless_ones(server, get, serve_ranges, size):
    def route(asked):
        answer = serve_ranges(asked, bytes(size))
        answer.cut = 0
        return answer

    server.answer("/a", route)
    outcome = get("/a", retries=1)["/a"]
    assert outcome.error is not None
    assert outcome.tries == len(server.asked) == 2


def test_a_range_that_was_not_asked_for_is_called_that(server, get, make_answer, megabyte):
    headers = {"ETag": '"1"', "Content-Range": f"bytes 0-{len(megabyte) - 1}/{len(megabyte)}"}
    server.answer("/a", make_answer(206, megabyte, headers))
    assert "none was asked for" in get("/a", retries=1)["/a"].error


def test_a_slow_big_file_gets_as_many_tries_as_it_needs(server, get, here, serve_ranges):
    body = os.urandom(6 << 20)

    def route(asked):
        answer = serve_ranges(asked, body)
        answer.cut = (1 << 20) + 300_000
        return answer if answer.cut < len(answer.body) else serve_ranges(asked, body)

    server.answer("/a", route)
    outcome = get("/a", retries=1)["/a"]
    assert (outcome.error, here()) == (None, {"a": body})
    assert outcome.tries >= 4


@pytest.mark.parametrize("etag", ['"1"', ""])
def test_a_file_that_changes_between_tries_is_never_spliced(server, get, here, serve_ranges, etag):
    old, new = b"old " * 200_000, b"new " * 200_000

    def route(asked):
        if asked.times == 1:
            answer = serve_ranges(asked, old, etag, {"Last-Modified": "Mon"})
            answer.cut = 500_000
            return answer
        # This server ignores If-Range, as some do.
        asked.headers.pop("if-range", None)
        return serve_ranges(asked, new, etag and '"2"', {"Last-Modified": "Tue"})

    server.answer("/a", route)
    assert get("/a")["/a"].error is None
    assert here() == {"a": new}


@pytest.mark.parametrize("fault", ["200", "wrong start", "no content-range", "no etag", "416"])
def test_a_bad_answer_to_a_range_starts_from_zero(
    server, get, here, serve_ranges, make_answer, fault, megabyte
):
    def route(asked):
        answer = serve_ranges(asked, megabyte)
        if asked.times == 1:
            answer.cut = 600_000
        elif asked.headers.get("range"):
            if fault == "200":
                return make_answer(200, megabyte, {"ETag": '"1"'})
            if fault == "416":
                return make_answer(416, b"", {"Content-Range": f"bytes */{len(megabyte)}"})
            if fault == "wrong start":
                answer.headers["Content-Range"] = f"bytes 5-{len(megabyte) - 1}/{len(megabyte)}"
            if fault == "no content-range":
                answer.headers["Content-Range"] = ""
            if fault == "no etag":
                answer.headers["ETag"] = ""
        return answer

    server.answer("/a", route)
    assert get("/a")["/a"].error is None
    assert here() == {"a": megabyte}
