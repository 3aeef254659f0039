"""What a download would do is told before anything moves, in assets, files and bytes."""

import inspect
import shutil
from typing import Any

import pytest

from haversack.download import download, plan
from haversack.errors import EmptySelectionError, UnsupportedError, UsageError

LOCAL: dict[str, Any] = {"allow_hosts": ["127.0.0.1"]}


@pytest.fixture
def archive(farms, source):
    """Seven assets in five files: three items share a document."""
    farms.files["farms/fields/item0/item0.json"]["assets"]["red"]["file:size"] = 700
    return farms.archive(source)


def test_a_plan_is_the_report_of_a_dry_run_and_moves_nothing(archive, out, server):
    planned = plan(archive, out, **LOCAL)
    assert planned.to_dict() | {"seconds": 0, "free_bytes": 0} == download(
        archive, out, dry_run=True, **LOCAL
    ).to_dict() | {"seconds": 0, "free_bytes": 0}
    assert (planned.waiting, planned.files["waiting"], planned.dry_run) == (7, 5, True)
    assert (planned.waiting_bytes, planned.waiting_unknown) == (700, 4)
    assert not out.exists()
    assert server.asked == []


def test_a_plan_takes_what_a_download_takes(archive, out, tmp_path):
    assets = tmp_path / "elsewhere"
    planned = plan(archive, out, asset_keys=["red"], asset_output_dir=assets, concurrency=2)
    assert (planned.waiting, planned.report.parent) == (3, assets / "farms")
    names = [p.name for p in inspect.signature(download).parameters.values()]
    assert names[:2] == list(inspect.signature(plan).parameters)[:2]
    with pytest.raises(EmptySelectionError):
        plan(archive, out, bbox=[100, 80, 101, 81])
    with pytest.raises(UsageError, match="if_exists"):
        plan(archive, out, if_exists="bogus")
    with pytest.raises(UnsupportedError, match="dry_run"):
        plan(archive, out, dry_run=False)


def test_files_are_told_beside_assets_where_several_share_one(archive, out):
    assert "farms: 7 not fetched in 5 files\n" in str(plan(archive, out))
    assert "7 fetched in 5 files (" in str(download(archive, out, **LOCAL))
    again = download(archive, out, **LOCAL)
    assert (again.present, again.files["present"]) == (7, 5)
    assert "7 here already in 5 files" in str(again)
    reds = plan(archive, out, asset_keys=["red"])
    assert "farms: 3 here already\n" in str(reds)


def test_free_space_is_told_also_where_everything_is_here(archive, out):
    download(archive, out, **LOCAL)
    planned = plan(archive, out)
    assert (planned.waiting, planned.present) == (0, 7)
    assert f"to fetch: 0 bytes; {planned.free_bytes:,} are free" in str(planned)
    assert planned.free_bytes == pytest.approx(shutil.disk_usage(out).free, rel=0.5)
