"""Credentials sign what goes to their own origin, and nothing else sees them."""

import base64
import json
import threading
from datetime import UTC, datetime

import pytest

from haversack.download.credentials import SasService, SasToken, from_netrc
from haversack.download.http import request
from haversack.download.origin import Origin
from haversack.download.s3 import S3Signature, authorization
from haversack.download.secrets import Fixed, Secrets
from haversack.download.transfer import Request, transfer
from haversack.errors import APIKeyNotFound, UsageError

KEYS = ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
NOTHING = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def _get(server, tmp_path, url, **options):
    wanted = [Request(url, tmp_path / "out" / "a.tif")]
    (outcome,) = transfer(wanted, source_origin=server.url("/"), **options)
    return outcome


@pytest.mark.parametrize(
    ("path", "headers", "signature"),
    [
        (
            "/test.txt",
            {"range": "bytes=0-9"},
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        ("/?lifecycle", {}, "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        (
            "/?max-keys=2&prefix=J",
            {},
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ],
)
def test_signatures_are_those_of_amazons_examples(path, headers, signature):
    sent = headers | {"x-amz-content-sha256": NOTHING, "x-amz-date": "20130524T000000Z"}
    url = f"https://examplebucket.s3.amazonaws.com{path}"
    assert authorization("GET", url, sent, KEYS, "us-east-1").endswith(f"Signature={signature}")


def test_an_s3_request_is_signed_for_its_region_and_moment(monkeypatch):
    moment = datetime(2026, 5, 17, 10, tzinfo=UTC)
    keys = S3Signature(*KEYS, "token", requester_pays=True, clock=lambda: moment)
    url, headers = keys.sign("GET", "https://b.s3.eu-central-1.amazonaws.com/a%20b.tif")
    assert url.endswith("/a%20b.tif")
    assert headers["x-amz-date"] == "20260517T100000Z"
    assert (headers["x-amz-security-token"], headers["x-amz-request-payer"]) == (
        "token",
        "requester",
    )
    assert "/20260517/eu-central-1/s3/aws4_request" in headers["Authorization"]
    assert not set(KEYS) & set(repr(keys).split("'"))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    with pytest.raises(APIKeyNotFound, match="AWS_ACCESS_KEY_ID"):
        S3Signature.from_env()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEYS[0])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEYS[1])
    assert S3Signature.from_env().key_id == KEYS[0]


def test_every_request_to_its_origin_is_signed_and_no_other(
    server, second_server, tmp_path, make_answer
):
    target = second_server.file("/real.tif", b"pixels")
    url = server.answer("/a.tif", make_answer(302, b"", {"Location": target}))
    secrets = Secrets({server.url("/"): S3Signature(*KEYS)})
    assert _get(server, tmp_path, url, secrets=secrets).error is None
    assert server.asked[0].headers["authorization"].startswith("AWS4-HMAC-SHA256 ")
    told = second_server.asked[0].headers
    assert not [name for name in told if "amz" in name or name == "authorization"]


def test_netrc_is_obeyed_for_its_hosts_alone(server, tmp_path):
    path = tmp_path / "netrc"
    path.write_text("machine 127.0.0.1 login me password secret\ndefault login x password y\n")
    secrets = from_netrc(path)
    url = server.file("/a.tif", b"pixels")
    assert _get(server, tmp_path, url, secrets=secrets).error is None
    basic = base64.b64encode(b"me:secret").decode()
    assert server.asked[0].headers["authorization"] == f"Basic {basic}"
    assert secrets.headers(Origin.of("https://other.example/")) == {}
    assert "secret" not in repr(secrets)


@pytest.mark.parametrize("content", ["machine a login b password sesame sesame2", None])
def test_a_netrc_that_is_none_is_named_and_not_shown(tmp_path, content):
    path = tmp_path / "netrc"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UsageError) as caught:
        from_netrc(path)
    assert str(path) in str(caught.value)
    assert "sesame" not in str(caught.value)


def test_a_sas_token_is_sent_and_shown_nowhere(server, tmp_path, caplog, make_answer):
    caplog.set_level("DEBUG")
    url = server.answer("/a.tif", make_answer(404))
    secrets = Secrets({server.url("/"): SasToken("?sig=sesame")})
    outcome = _get(server, tmp_path, url, secrets=secrets)
    assert server.asked[0].path == "/a.tif?sig=sesame"
    assert "sesame" not in f"{outcome} {caplog.text} {secrets!r} {SasToken('sig=sesame')!r}"


def _service(server, make_answer, hours="2999-01-01T00:00:00Z"):
    def answer(asked):
        token = {"token": f"sig={asked.times}", "msft:expiry": hours}
        return make_answer(200, json.dumps(token).encode())

    return server.answer("/sas/127/c", answer)


def test_a_service_is_asked_once_for_many_files(server, tmp_path, make_answer):
    _service(server, make_answer)
    for n in range(5):
        server.file(f"/c/{n}.tif", b"pixels")
    wanted = [Request(server.url(f"/c/{n}.tif"), tmp_path / str(n)) for n in range(5)]
    secrets = Secrets({server.url("/"): SasService(server.url("/sas"))})
    outcomes = list(transfer(wanted, source_origin=server.url("/"), secrets=secrets))
    assert [outcome.error for outcome in outcomes] == [None] * 5
    files = [f"/c/{n}.tif?sig=1" for n in range(5)]
    assert sorted(server.paths()) == [*files, "/sas/127/c"]


def test_an_expired_signature_is_signed_anew_once(server, tmp_path, make_answer):
    _service(server, make_answer)

    def answer(asked):
        return make_answer(200, b"pixels") if asked.path.endswith("sig=2") else make_answer(403)

    url = server.answer("/c/a.tif", answer)
    secrets = Secrets({server.url("/"): SasService(server.url("/sas"))})
    assert _get(server, tmp_path, url, secrets=secrets).error is None
    server.answer("/c/a.tif", make_answer(403))
    outcome = _get(server, tmp_path, url, secrets=secrets)
    assert "403" in outcome.error
    assert outcome.tries == 2


def test_of_many_files_whose_signature_expires_each_is_signed_anew(server, tmp_path, make_answer):
    _service(server, make_answer)
    together = threading.Barrier(4)

    def answer(asked):
        if asked.path.endswith("sig=1"):
            together.wait(10)  # all are refused before one is signed anew
            return make_answer(403)
        return make_answer(200, b"pixels")

    wanted = [Request(server.answer(f"/c/{n}.tif", answer), tmp_path / str(n)) for n in range(4)]
    secrets = Secrets({server.url("/"): SasService(server.url("/sas"))})
    outcomes = list(transfer(wanted, source_origin=server.url("/"), secrets=secrets))
    assert [outcome.error for outcome in outcomes] == [None] * 4


def test_a_signed_redirect_that_has_expired_is_asked_for_again(server, tmp_path, make_answer):
    def answer(asked):
        return make_answer(302, b"", {"Location": f"/blob.tif?sig={asked.times}"})

    def blob(asked):
        return make_answer(200, b"pixels") if asked.path.endswith("sig=2") else make_answer(403)

    url = server.answer("/a.tif", answer)
    server.answer("/blob.tif", blob)
    assert _get(server, tmp_path, url).error is None


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_what_is_refused_without_a_signature_is_asked_once(server, tmp_path, make_answer, status):
    url = server.answer("/a.tif", make_answer(status))
    assert str(status) in _get(server, tmp_path, url).error
    assert len(server.asked) == 1


def test_a_service_that_gives_none_is_a_failure_of_its_files(server, tmp_path, make_answer):
    server.answer("/sas/127/c", make_answer(401))
    server.file("/c/a.tif", b"pixels")
    secrets = Secrets({server.url("/"): SasService(server.url("/sas"))})
    outcome = _get(server, tmp_path, server.url("/c/a.tif"), secrets=secrets)
    assert "no signature" in outcome.error


def test_joined_secrets_keep_to_their_origins():
    one = Secrets.bearer("https://a.example/", "a")
    both = one.joined(Secrets.bearer("https://b.example/", "b"))
    assert both.headers(Origin.of("https://a.example/")) == {"Authorization": "Bearer a"}
    assert both.headers(Origin.of("https://b.example/")) == {"Authorization": "Bearer b"}
    assert both.headers(Origin.of("https://c.example/")) == {}
    assert one.joined(None).headers(Origin.of("https://b.example/")) == {}


def test_a_key_in_the_query_is_added_by_request_too(server, make_answer):
    server.answer("/a", make_answer(200, b"{}"))
    request("GET", server.url("/a"), secrets=Secrets.in_query(server.url("/"), "k"))
    assert server.asked[0].path == "/a?key=k"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\0", "\nX-Other: header"])
def test_a_secret_with_a_line_break_is_refused_and_not_shown(end):
    for make in (
        lambda key: Secrets.bearer("https://a.example", key),
        lambda key: Secrets({"https://a.example": {"X-API-Key": key}}),
        lambda key: Fixed({"X-API-Key": key}),
    ):
        with pytest.raises(UsageError, match="has a line break") as told:
            make(f"my-key{end}")
        assert "my-key" not in str(told.value)
