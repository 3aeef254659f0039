"""The whole flow by typing: list, info, download, pack, read, verify."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

import haversack as library
from haversack.packed import open_packed

SOURCE = "demo_crop_seasons_source"


def test_list_finds_by_tag_and_text(at_hub):
    assert len(json.loads(at_hub("list", "--json").out)) == 3
    found = json.loads(at_hub("list", "--tag", "crop type", "--json").out)
    assert [dataset["id"] for dataset in found] == ["demo_crop_seasons"]
    assert "demo_crop_seasons" in at_hub("list", "--text", "GENERATED valley").out
    nothing = at_hub("list", "--text", "no such phrase anywhere")
    assert (nothing.code, nothing.out) == (0, "")


def test_info_of_a_hubs_dataset_shows_its_sizes(at_hub):
    info = json.loads(at_hub("info", "demo_crop_seasons", "--json").out)
    assert info["catalog bytes"] > 0
    assert info["estimated bytes"] > 0
    assert SOURCE in at_hub("info", "demo_crop_seasons").out


def test_download_pack_read_verify(at_hub, tmp_path):
    first = at_hub("download", "demo_crop_seasons", "-o", "data", "--quiet", "--json")
    assert first.code == 0
    report = json.loads(first.out)
    assert report["fetched"] > 0
    assert not report["failures"]

    again = json.loads(at_hub("download", "demo_crop_seasons", "-o", "data", "-q", "--json").out)
    assert again["fetched"] == 0

    tree = tmp_path / "data" / "demo_crop_seasons"
    assert json.loads(at_hub("info", tree, "--json").out)["id"] == "demo_crop_seasons"
    assert at_hub("verify", tree, "-q").code == 0

    packed = at_hub("pack", tree, "chips", "--collection", SOURCE, "-q")
    assert packed.code == 0
    with open_packed("chips") as dataset:
        key = dataset.keys()[0]
        data = dataset.record(key).data
    assert "cloud" in at_hub("read", "chips").out
    assert at_hub("read", "chips", key, "--out", "one.npy").code == 0
    assert np.array_equal(np.load("one.npy"), data)
    assert at_hub("verify", "chips", "-q").code == 0


def test_filters_narrow_a_download(at_hub):
    everything = json.loads(
        at_hub("download", "demo_crop_seasons", "--dry-run", "-q", "--json").out
    )
    narrowed = json.loads(
        at_hub(
            "download", "demo_crop_seasons", "--dry-run", "-q", "--json",
            "--collection", f"{SOURCE}:image", "--datetime", "2023-05-01/2023-06-30",
        ).out
    )  # fmt: skip
    assert 0 < narrowed["waiting"] < everything["waiting"]


def test_a_flipped_byte_is_named_by_verify(at_hub, tmp_path):
    with library.PackWriter("packed") as writer:
        writer.append(np.arange(1000), key="the record")
    chunk = next((tmp_path / "packed" / "chunks").glob("*.chunk"))
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 1
    chunk.write_bytes(content)
    result = at_hub("verify", "packed", "-q")
    assert result.code == 7
    assert "the record" in result.out


def test_configure_keeps_a_given_key_unseen(haversack, hub, tmp_path):
    made = haversack("configure", "--hub", hub.api_root, "--api-key", "the-key-of-the-test-hub")
    assert made.code == 0
    assert "the-key" not in made.out + made.err
    path = tmp_path / "home" / "profiles"
    assert path.stat().st_mode & 0o777 == 0o600
    assert haversack("list").code == 0


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such terminals")
def test_configure_asks_for_the_key_without_showing_it(haversack, hub, tmp_path):
    ours, theirs = os.openpty()
    try:
        child = subprocess.Popen(
            [sys.executable, "-m", "haversack", "configure", "--hub", hub.api_root],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        shown = b""
        while b"API key: " not in shown:
            shown += os.read(ours, 1000)
        os.write(ours, b"the-key-of-the-test-hub\n")
        while b"Wrote profile" not in shown:
            shown += os.read(ours, 1000)
        assert child.wait(60) == 0
    finally:
        os.close(ours)
        os.close(theirs)
    assert b"the-key" not in shown
    assert haversack("list").code == 0


@pytest.mark.parametrize(
    "verb",
    ["list", "info", "download", "pack", "convert", "read", "verify", "serve", "configure", "demo"],
)
def test_every_verb_explains_itself(haversack, verb):
    shown = haversack(verb, "--help")
    assert shown.code == 0
    assert "Usage: haversack" in shown.out
    assert all(len(line) <= 100 for line in shown.out.splitlines())
