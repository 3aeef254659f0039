"""Other bytes than those that were meant are told as an unexpected answer, not as a bad network."""

from haversack.download.transfer import Request, transfer
from haversack.errors import UnexpectedAnswerError


def _error_of(server, path, **wanted):
    request = Request(server.url("/a"), path, **wanted)
    [outcome] = transfer([request], source_origin=server.url("/"))
    assert outcome.failure is not None
    return outcome.failure.error


def test_bytes_of_another_checksum_are_told_as_unexpected(server, tmp_path):
    server.file("/a", b"bytes")
    told = _error_of(server, tmp_path / "a", checksum="1220" + "00" * 32)
    assert told is UnexpectedAnswerError


def test_bytes_of_another_size_are_told_as_unexpected(server, tmp_path, make_answer):
    server.answer("/a", make_answer(200, b"bytes", {"Content-Length": ""}, cut=5))
    assert _error_of(server, tmp_path / "a", size=4) is UnexpectedAnswerError
