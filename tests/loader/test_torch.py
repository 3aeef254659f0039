"""Packed datasets in torch's own loaders: workers of any kind, every record once."""

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import haversack
from haversack.errors import IntegrityError, PositionError, UnsupportedError, UsageError
from haversack.packed import PackWriter, open_packed, pack

pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]
COUNT = 203


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("torch") / "ds"
    with PackWriter(path, chunk_bytes=3000) as writer:
        for n in range(COUNT):
            writer.append(np.full((2, 3), n, np.int32), key=f"r{n}", label=n % 7, name=f"n{n}")
    return path


@pytest.fixture
def ds(path):
    with open_packed(path) as opened:
        yield opened


def _first_values(records):
    return [int(record.data[0, 0]) for record in records]


def _values(data):
    return data[:, 0, 0].tolist()


def _double(data):
    return data * 2


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_a_packed_dataset_is_a_map_style_dataset_as_it_stands(ds, start):
    from torch.utils.data import DataLoader

    loader = DataLoader(
        ds,
        batch_size=16,
        shuffle=True,
        num_workers=2,
        multiprocessing_context=start,
        collate_fn=_first_values,
        persistent_workers=True,
    )
    for _ in range(2):
        assert sorted(value for batch in loader for value in batch) == list(range(COUNT))


@pytest.mark.parametrize("start", ["fork", "spawn"])
@pytest.mark.parametrize("persistent", [False, True])
def test_map_style_workers_give_every_record_once_per_epoch(ds, start, persistent):
    from torch.utils.data import DataLoader

    from haversack.loader import TorchDataset, collate

    loader = DataLoader(
        TorchDataset(ds, target="label"),
        batch_size=20,
        shuffle=True,
        num_workers=2,
        multiprocessing_context=start,
        persistent_workers=persistent,
        collate_fn=collate,
    )
    for _ in range(2):
        found = []
        for data, labels in loader:
            assert (data == data[:, :1, :1]).all()
            assert labels.tolist() == [value % 7 for value in _values(data)]
            found += _values(data)
        assert sorted(found) == list(range(COUNT))


@pytest.mark.parametrize("start", ["fork", "spawn"])
@pytest.mark.parametrize("persistent", [False, True])
def test_iterable_workers_give_every_record_once_per_epoch(ds, start, persistent):
    from torch.utils.data import DataLoader

    from haversack.loader import TorchIterable

    batches = TorchIterable(ds, 20, shuffle=True, target="label")
    loader = DataLoader(
        batches,
        batch_size=None,
        num_workers=2,
        multiprocessing_context=start,
        persistent_workers=persistent,
    )
    assert len(loader) == len(batches) == 11
    orders = []
    for epoch in [None, None, 7, 7, 8]:
        if epoch is not None:
            batches.set_epoch(epoch)
        found = [_values(data) for data, labels in loader]
        assert sorted(value for batch in found for value in batch) == list(range(COUNT))
        orders.append(found)
    assert orders[0] != orders[1]
    assert orders[2] == orders[3]
    for epoch, found in ((7, orders[2]), (8, orders[4])):
        alone = ds.batches(20, shuffle=True, epoch=epoch)
        assert found == [_values(batch.data) for batch in alone]


@pytest.mark.parametrize("window", [None, 60])
def test_two_ranks_with_two_workers_and_two_threads_have_every_record_once(ds, window):
    from torch.utils.data import DataLoader

    from haversack.loader import TorchIterable

    for _ in range(2):
        seen = []
        for rank in range(2):
            given = {"shuffle": True, "window": window, "rank": rank, "world": 2, "threads": 2}
            batches = TorchIterable(ds, 9, **given)
            loader = DataLoader(batches, batch_size=None, num_workers=2)
            found = [_values(data) for data in loader]
            assert found == [_values(data) for data in TorchIterable(ds, 9, **given)]
            seen += [value for batch in found for value in batch]
        assert sorted(seen) == list(range(COUNT))


def test_subsets_and_distributed_samplers_choose_as_ever(ds):
    from torch.utils.data import BatchSampler, DataLoader, DistributedSampler, Subset

    from haversack.loader import TorchDataset, collate

    samples = TorchDataset(ds)
    chosen = list(range(5, 150, 3))
    loader = DataLoader(Subset(samples, chosen), batch_size=8, num_workers=2)
    assert [value for batch in loader for value in _values(batch)] == chosen
    seen = []
    for rank in range(2):
        sampler = DistributedSampler(samples, 2, rank, shuffle=True, drop_last=True)
        loader = DataLoader(samples, batch_size=8, sampler=sampler, collate_fn=collate)
        seen += [value for batch in loader for value in _values(batch)]
    assert len(seen) == len(set(seen)) == COUNT - 1
    whole = BatchSampler(range(COUNT), 50, drop_last=False)
    loader = DataLoader(samples, batch_size=None, sampler=whole)
    assert [len(batch) for batch in loader] == [50, 50, 50, 50, 3]
    assert [value for batch in loader for value in _values(batch)] == list(range(COUNT))


def test_the_default_collate_gives_the_same_batches(ds):
    import torch
    from torch.utils.data import DataLoader

    from haversack.loader import TorchDataset, collate

    for given in ({}, {"target": "label"}, {"target": "name"}, {"target": _label}):
        samples = TorchDataset(ds, **given)
        ours = DataLoader(samples, batch_size=50, collate_fn=collate)
        for mine, other in zip(ours, DataLoader(samples, batch_size=50), strict=True):
            if not given:
                assert torch.equal(mine, other)
                continue
            assert torch.equal(mine[0], other[0])
            assert list(mine[1]) == list(other[1])


def _label(metadata):
    return metadata["label"] / 2


def test_samples_are_their_own_and_as_asked_for(ds):
    import torch

    from haversack.loader import TorchDataset

    data = TorchDataset(ds)[5]
    data += 1
    assert data.tolist() == [[6] * 3] * 2
    assert ds[5].data[0, 0] == 5
    data, label, metadata = TorchDataset(ds, target="label", metadata=True)[-1]
    assert (label, metadata) == (202 % 7, {"label": 202 % 7, "name": "n202"})
    assert TorchDataset(ds, transform=_double)[4][0, 0] == 8
    batch, labels, metadata = TorchDataset(ds, target="label", metadata=True, transform=_double)[
        [3, 9]
    ]
    assert _values(batch) == [6, 18]
    assert labels.tolist() == [3, 2]
    assert [record["name"] for record in metadata] == ["n3", "n9"]
    samples = TorchDataset(ds[::2])
    for chosen in (slice(3, 9), torch.arange(3, 9), np.arange(3, 9), [3, 4, 5, 6, 7, 8]):
        assert _values(samples[chosen]) == [6, 8, 10, 12, 14, 16]
    assert len(samples[[]]) == 0
    assert sum(1 for _ in samples) == 102
    with pytest.raises(PositionError):
        samples[102]


NUMBERS = ["?", "u1", "i1", "u2", "i2", ">u2", "<u4", ">i4", "u8", ">i8", "f2", ">f4", "f8", "c8"]


@pytest.mark.parametrize("dtype", NUMBERS)
def test_every_dtype_of_numbers_arrives_as_it_is(tmp_path, dtype):
    from torch.utils.data import DataLoader

    from haversack.loader import TorchDataset, TorchIterable

    values = np.arange(24).reshape(6, 2, 2).astype(dtype)
    ds = pack([(value, {}) for value in values], tmp_path / "ds")
    native = np.dtype(dtype).newbyteorder("=")
    for found in (
        next(iter(TorchIterable(ds, 6))),
        next(iter(DataLoader(TorchDataset(ds), batch_size=6))),
        TorchDataset(ds)[list(range(6))],
        next(iter(DataLoader(TorchIterable(ds, 6), batch_size=None, num_workers=1))),
    ):
        assert found.numpy().dtype == native
        np.testing.assert_array_equal(found.numpy(), values)


def test_memory_is_shared_where_torch_can_use_it():
    from haversack.loader import to_tensor

    array = np.arange(12.0).reshape(3, 4)
    assert to_tensor(array).data_ptr() == array.ctypes.data
    frozen = array.view()
    frozen.flags.writeable = False
    for other in (frozen, array[:, ::-1], array.T, array.astype(">f8")):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            tensor = to_tensor(other)
        np.testing.assert_array_equal(tensor.numpy(), other)
        tensor += 1
    assert array[0].tolist() == [0, 1, 2, 3]


def test_tensors_keep_the_memory_of_their_batch_until_they_are_gone(tmp_path):
    from haversack.loader import TorchIterable

    items = [(np.full(100_000, n, "i4"), {}) for n in range(32)]
    batches = TorchIterable(pack(items, tmp_path / "ds"), 4, shuffle=True, threads=2, prefetch=1)
    places, kept = set(), []
    for _ in range(4):
        for number, data in enumerate(batches):
            places.add(data.data_ptr())
            if number == 3:
                kept.append((int(data[2, 0]), data[2, 50:60]))
            assert (data == data[:, :1]).all()
            del data
    assert len(places) <= 8 + len(kept)
    assert all((part == value).all() for value, part in kept)


def test_fields_become_a_dict_of_tensors(tmp_path):
    from torch.utils.data import DataLoader

    from haversack.loader import TorchDataset, TorchIterable, collate

    dtype = [("x", ">u2"), ("y", "<f4", (2,)), ("b", "u1")]
    items = [(np.array([(n, (n, n + 1), n)] * 3, dtype), {}) for n in range(8)]
    ds = pack(items, tmp_path / "ds")
    loaders = (
        TorchIterable(ds, 4),
        DataLoader(TorchDataset(ds), batch_size=4),
        DataLoader(TorchDataset(ds), batch_size=4, collate_fn=collate),
        DataLoader(TorchDataset(ds, transform=lambda d: d), batch_size=4, collate_fn=collate),
    )
    for loader in loaders:
        first, second = loader
        assert first["x"][:, 0].tolist() == [0, 1, 2, 3]
        assert second["y"].shape == (4, 3, 2)
        assert second["y"][3, 0].tolist() == [7, 8]


@pytest.mark.parametrize("dtype", ["M8[D]", "S3", "U2"])
def test_what_torch_has_no_dtype_for_is_said(tmp_path, dtype):
    from haversack.loader import TorchDataset, TorchIterable

    ds = pack([(np.zeros(2, dtype), {})], tmp_path / "ds")
    for use in (lambda: TorchDataset(ds)[0], lambda: list(TorchIterable(ds, 1))):
        with pytest.raises(UnsupportedError, match="torch has no dtype"):
            use()


def test_records_of_several_shapes_stay_lists(tmp_path):
    from torch.utils.data import DataLoader

    from haversack.loader import TorchDataset, TorchIterable, collate

    ds = pack([(np.full(n % 3, n, ">i2"), {"label": n}) for n in range(10)], tmp_path / "ds")
    mapped = DataLoader(
        TorchDataset(ds, target="label"), batch_size=5, num_workers=1, collate_fn=collate
    )
    for loader in (TorchIterable(ds, 5, target="label"), mapped):
        for data, labels in loader:
            assert [part.tolist() for part in data] == [[n] * (n % 3) for n in labels.tolist()]


def test_a_transform_gets_what_would_be_drawn_in_the_threads(ds):
    import threading

    from haversack.loader import TorchIterable

    def transform(parts):
        names.add(threading.current_thread().name)
        data, labels, metadata = parts
        return data.float() / 2, labels, [record["name"] for record in metadata]

    names: set[str] = set()
    for data, labels, found in TorchIterable(
        ds, 50, threads=2, target="label", metadata=True, transform=transform
    ):
        assert found == [f"n{int(2 * value)}" for value in _values(data)]
        assert labels.tolist() == [int(name[1:]) % 7 for name in found]
    assert all(name.startswith("haversack") for name in names)


def test_an_iterable_dataset_goes_on_where_it_was_stopped(ds):
    from torch.utils.data import DataLoader

    from haversack.loader import TorchIterable

    def new():
        return TorchIterable(ds, 20, shuffle=True, seed=4)

    whole = [_values(data) for data in new()]
    first = new()
    for number, _ in enumerate(DataLoader(first, batch_size=None)):
        if number == 3:
            break
    state = first.state_dict()
    assert state["batches"] == 4
    for workers in (0, 2):
        second = new()
        second.load_state_dict(state)
        loader = DataLoader(second, batch_size=None, num_workers=workers)
        assert [_values(data) for data in loader] == whole[4:]


def test_ranks_come_from_torch_where_it_knows_them(ds, tmp_path):
    from torch import distributed

    from haversack.loader import TorchIterable

    store = f"file://{tmp_path}/store"
    distributed.init_process_group("gloo", init_method=store, rank=0, world_size=1)
    try:
        assert "rank" in TorchIterable(ds, 7).state_dict()
    finally:
        distributed.destroy_process_group()
    with pytest.raises(UsageError, match="go together"):
        TorchIterable(ds, 7, rank=1)


def test_a_damaged_record_is_named_across_processes(tmp_path):
    from torch.utils.data import DataLoader

    from haversack.loader import TorchDataset, TorchIterable

    path = tmp_path / "ds"
    with PackWriter(path) as writer:
        for n in range(40):
            writer.append(np.random.default_rng(n).integers(0, 255, 100, "u1"), key=f"r{n}")
    (chunk,) = path.glob("chunks/*")
    data = bytearray(chunk.read_bytes())
    record = np.random.default_rng(33).integers(0, 255, 100, "u1").tobytes()
    data[data.index(record) + 50] ^= 1
    chunk.write_bytes(data)
    ds = open_packed(path)
    for workers in (0, 2):
        for loader in (
            DataLoader(TorchDataset(ds), batch_size=8, num_workers=workers),
            DataLoader(TorchIterable(ds, 8), batch_size=None, num_workers=workers),
        ):
            with pytest.raises(IntegrityError, match="record 33 .*r33"):
                list(loader)


# The code of AcumenIndexer's README, with its own name replaced by ours.
ACUMEN = """
from torch.utils.data import Dataset
import haversack as ai

class CustomDataset(Dataset):
    def __init__(self, index_path):
        self.index = ai.load_index(the_index, dtype = np.float16, in_memory = True, use_gzip = False)
        self.read_fn = ai.read_from_index(self.index)

    def __len__(self):
        return len(self.index)

    def __getitem__(self, idx):
        data = self.read_fn(idx)
        return data
"""  # noqa: E501


@pytest.mark.parametrize("workers", [0, 2])
def test_acumenindexers_example_runs_with_the_import_changed(tmp_path, monkeypatch, workers):
    from torch.utils.data import DataLoader

    haversack.split_into_chunks(
        data_list=list(range(30)),
        read_fn=lambda n: (np.full((4, 4), n, np.float16), {"n": n}),
        output_path=str(tmp_path / "my_data"),
        n_jobs=1,
    )
    monkeypatch.chdir(tmp_path / "my_data")
    names: dict[str, Any] = {"np": np, "the_index": haversack.load_index("index.csv")}
    exec(ACUMEN, names)
    dataset = names["CustomDataset"]("index.csv")
    loader = DataLoader(dataset, batch_size=7, shuffle=True, num_workers=workers, collate_fn=list)
    found = [metadata["n"] for batch in loader for data, metadata in batch if data[0, 0] + 1]
    assert sorted(found) == list(range(30))


def test_the_examples_of_the_docs_run(tmp_path, monkeypatch):
    import torch

    page = (Path(__file__).parents[2] / "docs" / "loader.md").read_text()
    blocks = re.findall(r"```py(?:thon)?\n(.*?)```", page, re.DOTALL)
    assert sum("torch" in block.lower() for block in blocks) == 2
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for block in blocks:
        if "import jax" not in block and (".cuda()" not in block or torch.cuda.is_available()):
            exec(block, names)
    assert len(names["rest"]) == 22
    assert len(names["labels"]) == 64
