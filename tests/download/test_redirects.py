"""Redirects are followed to where they may lead, and no secret goes along."""

import pytest

from haversack.download.secrets import Secrets
from haversack.download.transfer import Request, transfer


def test_redirects_are_followed_and_secrets_stay_home(
    server, second_server, get, here, make_answer, megabyte
):
    second_server.file("/b", megabyte)
    server.answer("/a", make_answer(303, b"", {"Location": second_server.url("/b?sig=1")}))
    outcome = get("/a", secrets=Secrets.bearer(server.url("/"), "my-key"))["/a"]
    assert (outcome.error, here()) == (None, {"a": megabyte})
    assert server.asked[0].headers["authorization"] == "Bearer my-key"
    assert "my-key" not in str(second_server.asked)


def test_an_expired_signature_is_signed_anew(server, second_server, get, here, make_answer):
    second_server.answer(
        "/b", lambda asked: make_answer(503 if "old" in asked.path else 200, b"body")
    )
    server.answer(
        "/a",
        lambda asked: make_answer(
            302, b"", {"Location": second_server.url(f"/b?{'old' if asked.times == 1 else 'new'}")}
        ),
    )
    assert get("/a")["/a"].error is None
    assert here() == {"a": b"body"}


def test_redirect_loops_end(server, get, make_answer):
    server.answer("/a", make_answer(302, b"", {"Location": "/a"}))
    assert "more than 5 redirects" in get("/a")["/a"].error


def test_a_public_source_does_not_lead_to_loopback(server, tmp_path):
    server.file("/a", b"private")
    wanted = [Request(server.url("/a"), tmp_path / "a")]
    [refused] = transfer(wanted)
    assert "--allow-host 127.0.0.1" in str(refused.error)
    assert server.asked == []
    [allowed] = transfer(wanted, allow_hosts=[f"127.0.0.1:{server.port}"])
    assert allowed.error is None


@pytest.mark.parametrize("url", ["ftp://a.example/x", "file:///etc/passwd", "s3://bucket/key", ""])
def test_other_urls_are_an_error_of_their_own_asset(server, tmp_path, url):
    server.file("/a", b"x")
    wanted = [Request(url, tmp_path / "b"), Request(server.url("/a"), tmp_path / "a")]
    found = list(transfer(wanted, source_origin=server.url("/")))
    assert sorted(outcome.error is None for outcome in found) == [False, True]
