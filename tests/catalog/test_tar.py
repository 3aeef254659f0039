"""The tar reader gives what tarfile gives, and refuses what leads out of an archive."""

import io
import tarfile

import pytest

from haversack.catalog.tar import Caps, read_members
from haversack.errors import FormatError

NAMES = [
    "plain.json",
    "folder/" + "long" * 20 + "/" + "name" * 20 + ".json",
    "folder/" + "longer" * 40 + "/ünïcode 名前.json",
    "empty",
]


def _tar(tmp_path, fill, **options):
    path = tmp_path / "archive.tar"
    with tarfile.open(path, "w", **options) as tar:
        fill(tar)
    return path


def _add(tar, name, content=b"", **fields):
    member = tarfile.TarInfo(name)
    member.size = len(content)
    for field, value in fields.items():
        setattr(member, field, value)
    tar.addfile(member, io.BytesIO(content))


def _members(path, size=700, caps=None, keep=lambda name: True):
    content = path.read_bytes()
    blocks = [content[begin : begin + size] for begin in range(0, len(content), size)]
    return list(read_members(blocks, path, caps or Caps(), keep))


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("size", [1, 511, 512, 100_000])
def test_every_form_gives_names_and_contents(tmp_path, form, size):
    names = [name for name in NAMES if form != tarfile.USTAR_FORMAT or "longer" not in name]
    contents = {name: name.encode() * (100 * len(name) % 1000) for name in names}
    path = _tar(tmp_path, lambda t: [_add(t, n, c) for n, c in contents.items()], format=form)
    found = _members(path, size)
    assert {member.name: content for member, content in found} == contents
    whole = path.read_bytes()
    for member, content in found:
        assert whole[member.offset : member.offset + member.size] == content


def test_content_is_read_only_where_it_is_asked_for(tmp_path):
    path = _tar(tmp_path, lambda t: [_add(t, "a.json", b"{}"), _add(t, "b.tif", b"pixels")])
    found = _members(path, keep=lambda name: name.endswith(".json"))
    assert [content for _, content in found] == [b"{}", None]


def test_what_macos_leaves_is_passed_over(tmp_path):
    names = ["a/._b.json", "a/.DS_Store", "__MACOSX/a/b.json", "._x"]
    path = _tar(tmp_path, lambda t: [_add(t, name, b"x") for name in [*names, "a/b.json"]])
    assert [member.name for member, _ in _members(path)] == ["a/b.json"]


def test_folders_are_passed_over(tmp_path):
    path = _tar(tmp_path, lambda t: [_add(t, "a", type=tarfile.DIRTYPE), _add(t, "a/b", b"x")])
    assert [member.name for member, _ in _members(path)] == ["a/b"]


@pytest.mark.parametrize("name", ["/etc/passwd", "../up", "a/../../up", "..", "a/.."])
def test_names_that_lead_out_are_refused(tmp_path, name):
    path = _tar(tmp_path, lambda t: _add(t, name, b"x"))
    with pytest.raises(FormatError, match="leads out of the archive"):
        _members(path)


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices_are_refused(tmp_path, kind):
    path = _tar(tmp_path, lambda t: _add(t, "innocent", type=kind, linkname="/etc/passwd"))
    with pytest.raises(FormatError, match="innocent"):
        _members(path)


def test_an_archive_cut_short_is_refused(tmp_path):
    path = _tar(tmp_path, lambda t: _add(t, "a.json", b"x" * 2000))
    path.write_bytes(path.read_bytes()[:1500])
    with pytest.raises(FormatError, match="ends inside"):
        _members(path)


def test_bytes_that_are_no_header_are_refused(tmp_path):
    path = tmp_path / "archive.tar"
    path.write_bytes(b"no tar at all" * 100)
    with pytest.raises(FormatError, match="tar header"):
        _members(path)


def test_padding_behind_the_end_counts_too(tmp_path):
    path = _tar(tmp_path, lambda t: _add(t, "a.json", b"x"))
    with path.open("ab") as file:
        file.write(bytes(100_000))
    assert [member.name for member, _ in _members(path)] == ["a.json"]
    with pytest.raises(FormatError, match="unpacks to more"):
        _members(path, caps=Caps(total_bytes=50_000))


@pytest.mark.parametrize(
    ("caps", "reason"),
    [
        (Caps(members=2), "more than 2 files"),
        (Caps(document_bytes=1000), "too large"),
        (Caps(total_bytes=1500), "unpacks to more"),
    ],
)
def test_caps_end_the_reading(tmp_path, caps, reason):
    path = _tar(tmp_path, lambda t: [_add(t, f"{n}.json", b"x" * 1500) for n in range(3)])
    with pytest.raises(FormatError, match=reason):
        _members(path, caps=caps)


def test_a_damaged_size_is_told_as_a_damaged_header(tmp_path):
    path = _tar(tmp_path, lambda t: _add(t, "a.json", b"{}"))
    whole = path.read_bytes()
    path.write_bytes(whole[:124] + b"what" + whole[128:])
    with pytest.raises(FormatError, match="what stands at byte 0 is no tar header"):
        _members(path)
