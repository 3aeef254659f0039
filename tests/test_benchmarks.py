"""The benchmarks notice wrong answers, name who is missing, and forge what reads like the real."""

from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from benchmarks.catalog import suite as catalog
from benchmarks.catalog.items import write as write_catalog
from benchmarks.disk.suite import ADD, BULK, LOAD, Suite
from benchmarks.download import suite as downloading
from benchmarks.download.suite import OURS as OUR_CLIENT
from benchmarks.figures import Figures
from benchmarks.loader import suite as loader
from benchmarks.loader.feeds import LOADER, TWO_WORKERS
from benchmarks.records import forge, reading
from benchmarks.records.contenders import COMPRESSED, LIMIT, OURS
from benchmarks.records.effort import Effort
from benchmarks.records.race import FailedError, Place, Race
from benchmarks.records.sets import Set, make
from benchmarks.split import live, measure
from benchmarks.split import suite as split
from benchmarks.split.contenders import CONTENDERS, OURS_OF_OLD
from benchmarks.split.contenders import LIMIT as MAPPED
from benchmarks.split.contenders import OURS as OUR_ARRAY
from benchmarks.split.measure import COLD, OPEN, PEAK, SYNCED
from benchmarks.split.reads import AT_ONCE, READS
from benchmarks.split.volume import Recording
from benchmarks.split.volume import make as make_recording

from haversack.packed import PackWriter, open_packed


def race(tmp_path, chosen, *names):
    place = Place(tmp_path, tmp_path / "no environments")
    make(chosen, place.source)
    return Race(place, names, Figures(chosen.title))


def test_a_wrong_answer_is_an_error(tmp_path):
    run = race(tmp_path, Set("8 B", 40, (2, 4), "|u1"), LIMIT)
    with run.runner(LIMIT) as runner:
        runner.ask("build")
        runner.ask("open")
        runner.ask("check", batch=4)
        runner.ask("scan", seconds=10)
        data = run.home(LIMIT) / "data.bin"
        data.write_bytes(bytes(data.stat().st_size))
        with pytest.raises(FailedError, match="WRONG: record 0 has other values"):
            runner.ask("check", batch=4)
        with pytest.raises(FailedError, match="WRONG: what a scan gives"):
            runner.ask("scan", seconds=10)


def test_a_peer_that_cannot_run_is_named_with_the_reason(tmp_path):
    run = race(tmp_path, Set("8 B", 40, (2, 4), "|u1"), "LMDB")
    reading.measure(run, Set("8 B", 40, (2, 4), "|u1"), Effort(rounds=1))
    assert "no environment bench-peers" in (run.figures.reason(reading.BUILD, "LMDB") or "")


@pytest.mark.slow
@pytest.mark.parametrize("ragged", [False, True])
def test_a_set_is_measured_from_build_to_cold_reads(tmp_path, ragged):
    chosen = Set("32 B", 300, (8, 4), "|u1", ragged=ragged)
    run = race(tmp_path, chosen, LIMIT, OURS, ".npy files")
    reading.measure(run, chosen, Effort(rounds=1, seconds=0.01, cold_rounds=1, workers=1))
    wanted = {reading.BUILD, reading.SINGLE, reading.batch_of(256), reading.SCAN, reading.EPOCH}
    for name in run.names:
        assert {what for what in wanted if run.figures.get(what, name)} == wanted
    assert not wanted & set(run.figures.reasons)


@pytest.mark.parametrize("shapes", [[(4, 4)], [(4, 4), (2, 4)]], ids=["uniform", "ragged"])
def test_an_index_made_for_the_purpose_reads_like_a_real_one(tmp_path, shapes):
    arrays = [np.zeros(shapes[number % len(shapes)], np.uint8) for number in range(10)]
    with PackWriter(tmp_path / "template") as writer:
        for array in arrays:
            writer.append(array)
    forge.repeated(tmp_path / "template", 3, tmp_path / "forged")
    with open_packed(Path(tmp_path / "forged")) as ds:
        assert len(ds) == 30
        assert [record.data.shape for record in ds] == [array.shape for array in arrays * 3]
        assert ds.verify() == []


@pytest.mark.slow
def test_the_growth_of_keyed_images_is_measured_and_drawn(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("benchmarks.disk.suite._PLOT", tmp_path / "growth.png")
    suite = Suite(tmp_path, tmp_path / "no environments", quick=True)
    monkeypatch.setattr(suite, "_counts", [10, 20])
    monkeypatch.setattr(suite, "_singles", 5)
    found = suite.run()["tables"]
    for what in (BULK, ADD, LOAD):
        for count in ("10", "20"):
            assert set(found[what]["figures"][count]) == {"haversack", "SQLite", ".npy files"}
    assert "no environment bench-peers" in found[BULK]["missing"]["10"]["LMDB"]
    assert "LMDB: no 10: no environment" in capsys.readouterr().out
    assert (tmp_path / "growth.png").stat().st_size > 1000


@pytest.mark.slow
def test_loaders_are_measured_warm_and_cold(tmp_path, monkeypatch, capsys):
    # Where there is torch, each process that draws in another way imports it, for seconds.
    monkeypatch.setattr(loader, "SETS", [Set("784 B", 300, (8, 4), "|u1", batches=(16,))])
    monkeypatch.setattr(loader, "WAYS", (LOADER, TWO_WORKERS))
    monkeypatch.setattr(loader, "smaller", lambda chosen: chosen)
    run = loader.Suite(tmp_path, tmp_path / "no environments", quick=True)
    monkeypatch.setattr(run, "_seconds", 0.05)
    found = run.run()["tables"]
    for table in (found["784 B"], found["784 B: MB held"]):
        assert set(table["figures"][LOADER]) == {OURS, COMPRESSED}
    assert set(found["784 B"]["figures"][f"{LOADER}, cold"]) <= {OURS, COMPRESSED}
    assert "no such loader" in found["784 B"]["missing"][LOADER][LIMIT]
    assert "no environment bench-torch" in found["784 B"]["missing"][LOADER]["LMDB"]
    assert "over the best peer" in capsys.readouterr().out


def test_a_client_that_brings_wrong_bytes_is_named(tmp_path, monkeypatch):
    load = downloading.Load("tiny files", 2000, 8)
    monkeypatch.setattr(downloading, "LOADS", (load,))
    monkeypatch.setattr(downloading, "CLIENTS", {OUR_CLIENT: None, "requests": None})
    suite = downloading.Suite(tmp_path, tmp_path / "no environments", quick=False)
    monkeypatch.setattr(suite, "_rounds", 1)
    figures = suite._measure(load)
    assert figures.get("files/s", OUR_CLIENT) > 0
    assert "no environments" in figures.reason("files/s", "requests")
    monkeypatch.setattr(downloading, "body", bytes)
    assert "other bytes" in suite._measure(load).reason("files/s", OUR_CLIENT)


def test_a_reader_that_answers_wrongly_is_named(tmp_path):
    archive, _ = write_catalog(200, tmp_path)
    suite, figures = catalog.Suite(tmp_path, tmp_path, quick=True), Figures("200 items")
    right: dict[str, int] = {}
    suite._try(figures, "haversack", str(archive), 200, right)
    assert figures.get("s of CPU", "haversack") > 0
    assert figures.get("bbox ms", "haversack") > 0
    assert right["keys ms"] == 200
    suite._try(figures, "haversack", str(archive), 200, right | {"bbox ms": 1})
    assert "where 1 are right" in figures.reason("s", "haversack")
    suite._try(figures, "haversack", str(archive), 201, right)
    assert "200 items and 800 assets of 201" in figures.reason("s", "haversack")
    suite._try(figures, "pystac", str(archive), 200, right)
    assert "bench-download" in figures.reason("s", "pystac")


TINY = Recording("tiny", (16, 2, 64, 128), block=8, shard=8, chunk=(8, 1, 64, 64))


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    monkeypatch.setattr(split, "SMALLER", TINY)
    monkeypatch.setattr(split, "NAMES", (MAPPED, OUR_ARRAY, "zarr", "split_dataset"))
    monkeypatch.setattr(split, "IN_FILES", (OUR_ARRAY, "zarr"))
    monkeypatch.setattr(split, "of_blocks", lambda count, real=split.of_blocks: real(5))
    return split.Suite(tmp_path, tmp_path / "no environments", quick=True)


def test_a_contender_that_died_is_named_and_the_others_go_on(tmp_path):
    place = Place(tmp_path, tmp_path, "benchmarks.split.worker", contenders=CONTENDERS)
    make_recording(TINY, place.source)
    run = measure.SharedRace(place, (MAPPED, OUR_ARRAY, OURS_OF_OLD), Figures("tiny"))
    run.figures.fail(measure.WRITE, "split_dataset", "is not here")
    measure._write(run, 1)
    with ExitStack() as stack:
        runners = measure._opened(run, stack)
        assert list(runners) == [MAPPED, OUR_ARRAY]
        runners[MAPPED]._kill()
        measure._warm(run, runners, 1)
    for what in READS:
        assert "ended with -9" in run.figures.reason(what, MAPPED)
        assert run.figures.get(what, OUR_ARRAY) > 0
    assert run.figures.reason(READS[0], OURS_OF_OLD) == "there are no files of split_dataset"


@pytest.mark.slow
def test_split_arrays_are_measured_from_write_to_cold_reads(recorded, capsys):
    tables = recorded.run()["tables"]
    found = tables["tiny"]
    assert {*READS, *COLD, SYNCED, OPEN, PEAK} <= set(found["figures"])
    for what in READS:
        measured = {OUR_ARRAY} if what == AT_ONCE else {OUR_ARRAY, MAPPED}
        assert set(found["figures"][what]) == measured
    assert set(tables["5 blocks"]["figures"][OPEN]) == {OUR_ARRAY}
    assert "no environment bench-split" in str(found["missing"])
    assert "not measured" in capsys.readouterr().out


@pytest.mark.slow
def test_an_array_with_other_values_is_an_error(recorded, monkeypatch):
    real = measure._write

    def spoil(race, rounds):
        real(race, rounds)
        if MAPPED in race.names:
            data = race.home(MAPPED) / "data.bin"
            data.write_bytes(bytes(data.stat().st_size))

    monkeypatch.setattr(measure, "_write", spoil)
    found = recorded.run()["tables"]["tiny"]
    assert MAPPED not in found["figures"].get(READS[0], {})
    assert "WRONG" in found["missing"][READS[0]][MAPPED]
    assert OUR_ARRAY in found["figures"][READS[0]]


def test_a_writer_that_dies_is_told_of_and_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(live, "_record", print)  # which ends without a word into the pipe
    with pytest.raises(FailedError, match="the writer ended with 0"):
        live.measure(tmp_path, quick=True)


def test_a_reader_that_misses_frames_is_told_of(tmp_path, monkeypatch):
    monkeypatch.setattr(live, "_QUICK", 3)
    monkeypatch.setattr(live, "_watch", lambda _, count: [0.0] * (count - 2))
    with pytest.raises(FailedError, match="2 frames of 2 were written, 1 were seen"):
        live.measure(tmp_path, quick=True)
