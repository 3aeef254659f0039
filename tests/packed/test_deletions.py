"""Deleted records are gone from the next version, and from no other."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haversack.errors import HaversackError, IntegrityError, KeyExistsError, RecordNotFoundError
from haversack.packed import PackWriter, open_packed
from haversack.packed.manifests.kept import read_latest


def write(path, numbers, delete=()):
    with PackWriter(path) as writer:
        for key in delete:
            writer.delete(key)
        for number in numbers:
            writer.append(np.full(3, number), key=f"k{number}", n=number)
    return open_packed(path)


@settings(max_examples=40)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 6)), max_size=14))
def test_a_dataset_is_what_a_dict_would_be(tmp_path_factory, steps):
    path = tmp_path_factory.mktemp("model") / "set"
    model: dict[str, int] = {}
    write(path, [])
    for step, (is_delete, number) in enumerate(steps):
        key = f"k{number}"
        try:
            with PackWriter(path) as writer:
                if is_delete:
                    writer.delete(key)
                else:
                    writer.append(np.full(2, step), key=key, step=step)
        except (KeyExistsError, RecordNotFoundError):
            assert (key in model) != is_delete
            continue
        assert (key in model) == is_delete
        model.pop(key) if is_delete else model.update({key: step})
    ds = open_packed(path)
    assert {record.key: int(record.data[0]) for record in ds} == model
    assert ds.keys() == list(model)
    assert {key for key in (f"k{n}" for n in range(7)) if key in ds} == set(model)
    if model:
        assert ds.metadata()["step"].tolist() == list(model.values())
        assert ds.filter("step >= 0").keys() == list(model)
        np.testing.assert_array_equal(ds.take(range(len(ds)))[:, 0], list(model.values()))


def test_an_open_snapshot_keeps_its_records_until_refresh(tmp_path):
    ds = write(tmp_path / "set", range(5))
    write(tmp_path / "set", [], delete=["k1", "k4"])
    assert (len(ds), int(ds.record("k4").data[0])) == (5, 4)
    ds.refresh()
    assert ds.keys() == ["k0", "k2", "k3"]
    assert len(pickle.loads(pickle.dumps(ds))) == 3
    assert [len(batch) for batch in ds.batches(2)] == [2, 1]


def test_delete_and_append_replace_in_one_version(tmp_path):
    ds = write(tmp_path / "set", range(3))
    with PackWriter(tmp_path / "set") as writer:
        writer.delete("k1")
        writer.append(np.arange(9), key="k1", n=-1)
    assert open_packed(tmp_path / "set").version == ds.version + 1
    assert ds.refresh().record("k1").metadata == {"n": -1}


def test_what_is_not_there_cannot_be_deleted(tmp_path):
    ds = write(tmp_path / "set", range(3))
    with pytest.raises(RecordNotFoundError, match="k7"):
        write(tmp_path / "set", [], delete=["k7"])
    with pytest.raises(RecordNotFoundError, match="k1"):
        write(tmp_path / "set", [], delete=["k1", "k1"])
    assert len(ds.refresh()) == 3


def test_two_writers_cannot_delete_the_same_record(tmp_path):
    write(tmp_path / "set", range(3))
    one, two = PackWriter(tmp_path / "set"), PackWriter(tmp_path / "set")
    one.delete("k1")
    two.delete("k1")
    one.close()
    with pytest.raises(RecordNotFoundError, match="meanwhile"):
        two.close()


def test_a_damaged_list_of_deletions_is_found(tmp_path):
    write(tmp_path / "set", range(9))
    write(tmp_path / "set", [], delete=["k1", "k4"])
    (path,) = (tmp_path / "set" / "index").glob("*.del")
    good = path.read_bytes()
    for place in range(len(good)):
        path.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
        ds = open_packed(tmp_path / "set")
        assert [damage.path for damage in ds.verify()] == [path]
        for read in (lambda: ds[0], ds.keys, ds.metadata, lambda: ds.filter("n < 3")):  # noqa: B023
            with pytest.raises(IntegrityError, match=path.name):
                read()
    path.unlink()
    with pytest.raises(HaversackError, match=path.name):
        open_packed(tmp_path / "set")[0]


def test_the_manifest_counts_what_is_left(tmp_path):
    write(tmp_path / "set", range(9), delete=[])
    write(tmp_path / "set", [20], delete=["k1", "k4"])
    latest = read_latest(tmp_path / "set")
    assert latest is not None
    assert latest.rows == 8
