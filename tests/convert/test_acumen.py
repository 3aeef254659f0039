"""AcumenIndexer's examples and promises, on packed datasets."""

import multiprocessing
import os
import pickle
import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import haversack
from haversack import PackWriter, load_index, read_from_index, split_into_chunks
from haversack.convert.acumen.casting import converted
from haversack.errors import (
    ExistsError,
    FormatError,
    PathNotFoundError,
    PositionError,
    UsageError,
    VersionGoneError,
)

# The code of the old package's README, with its own name replaced by ours.
BUILDING = """
import cv2
import numpy as np
import haversack as ai

def data_read_fn(path):
    # read image from file
    image = cv2.imread(path) # or something like this
    x = {'path': path}

    # must return (data:numpy.ndarray, metadata:dict)
    return image, x

file_names = [x for x in os.listdir('images/')]

ai.split_into_chunks(
    data_list = file_names,
    read_fn = data_read_fn,
    output_path = 'my_data',
    chunk_size_bytes = 5 * 1024 * 1024, #5MB
    use_gzip = False,
    dtype = np.float16,
    n_jobs = 1,
)
"""
READING = """
import numpy as np
import haversack as ai

the_index = ai.load_index('index.csv') # just a pd.DataFrame

# in_memory = False reads directly from chunk in O(1) using f.seek()
# in_memory = True uses mmap to map the data into RAM
read_fn = ai.read_from_index(the_index, dtype = np.float16, in_memory = True, use_gzip = False)

for i in range(10):
    data = read_fn(i)
    print(data) # contains both metadata and actual binary data
"""
TORCH = """
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


@pytest.fixture
def stand_ins(monkeypatch):
    """An OpenCV that reads .npy, and a torch of one class: the examples need no more of them."""
    cv2, torch = ModuleType("cv2"), ModuleType("torch.utils.data")
    cv2.imread = lambda name: np.load(f"images/{name}")
    torch.Dataset = object
    for name in ("torch", "torch.utils"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, "cv2", cv2)
    monkeypatch.setitem(sys.modules, "torch.utils.data", torch)


def test_the_examples_of_the_readme_run(tmp_path, monkeypatch, stand_ins, capsys):
    monkeypatch.chdir(tmp_path)
    images = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3)).astype(np.uint8)
    os.mkdir("images")
    for number, image in enumerate(images):
        np.save(f"images/{number}.npy", image)
    names: dict[str, Any] = {"os": os}  # which the first example forgets to import
    exec(BUILDING, names)
    monkeypatch.chdir("my_data")  # where the second one looks for the index
    exec(READING, names)
    exec(TORCH, names)
    assert "{'path': " in capsys.readouterr().out
    dataset = names["CustomDataset"]("index.csv")
    assert len(dataset) == 12
    for number, (data, metadata) in enumerate(dataset[i] for i in range(12)):
        assert metadata == {"path": names["file_names"][number]}
        assert data.dtype == np.float16
        assert not data.flags.writeable
        np.testing.assert_array_equal(data, images[int(metadata["path"].removesuffix(".npy"))])


def _numbers(count):
    return ((np.full((2, 3), n, np.int32), {"n": n, "name": f"{n:03}"}) for n in range(count))


@pytest.mark.parametrize("n_jobs", [1, 3, -1])
def test_any_number_of_jobs_gives_the_input_in_its_order(tmp_path, n_jobs):
    split_into_chunks(
        (n for n in range(60)),
        tmp_path / "new",
        read_fn=lambda n: (np.full(n % 4, n), {"n": n}),
        chunk_size_bytes=100,
        n_jobs=n_jobs,
        use_gzip=n_jobs == 3,
    )
    index = load_index(tmp_path / "new")
    read = read_from_index(index)
    assert index["n"].tolist() == list(range(60))
    for n in range(60):
        np.testing.assert_array_equal(read(n)[0], np.full(n % 4, n))
    with haversack.open(tmp_path / "new") as packed:
        assert packed.verify() == []


def test_metadata_keeps_its_types_and_may_differ(tmp_path):
    given = [{"a": "007", "b": None}, {"a": 7, "c": {"x": [1, 2]}}, {}]
    split_into_chunks([(np.zeros(1), metadata) for metadata in given], tmp_path / "new")
    read = read_from_index(load_index(tmp_path / "new"))
    assert read(0)[1] == {"a": "007", "b": None, "c": None}
    assert read(1)[1] == {"a": 7, "b": None, "c": {"x": [1, 2]}}


@pytest.mark.parametrize(
    ("read_fn", "words"),
    [
        (lambda n: None if n == 2 else (np.zeros(1), {}), "read_fn gave None"),
        (lambda n: (None if n == 2 else np.zeros(1), {}), "could the file be read"),
        (lambda n: (np.zeros(1), n) if n == 2 else (np.zeros(1), {}), "metadata as a dict"),
        (lambda n: 5 if n == 2 else (np.zeros(1), {}), "must give"),
        (lambda n: (np.array(10.0**n * 1000), {}), "would change as float16"),
        (lambda n: (np.array(1024 * n + 1), {}), "would change as float16"),
    ],
)
def test_a_bad_item_is_named_and_leaves_nothing(tmp_path, read_fn, words):
    with pytest.raises(UsageError, match=f"item 2 .*{words}"):
        split_into_chunks(range(4), tmp_path / "new", read_fn, dtype="float16", n_jobs=2)
    assert not (tmp_path / "new").exists()


def test_an_output_that_exists_is_kept(tmp_path):
    split_into_chunks(_numbers(2), tmp_path / "new")
    with pytest.raises(ExistsError):
        split_into_chunks(_numbers(3), tmp_path / "new")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "index.csv").write_text("mine")
    with pytest.raises(ExistsError):
        split_into_chunks(_numbers(3), tmp_path / "other")
    assert len(load_index(tmp_path / "new")) == 2


def test_options_given_to_load_index_hold_unless_overridden(tmp_path):
    split_into_chunks(_numbers(3), tmp_path / "new")
    index = load_index(tmp_path / "new", dtype=np.float32, in_memory=True)
    assert np.dtype(index.attrs["dtype"]) == np.float32
    assert index.attrs["in_memory"] is True
    assert "use_gzip" not in index.attrs
    assert read_from_index(index)(1)[0].dtype == np.float32
    assert read_from_index(index, dtype="int64")(1)[0].dtype == np.int64
    assert read_from_index(load_index(tmp_path / "new"))(1)[0].dtype == np.int32
    with pytest.raises(UsageError, match="no dtype"):
        load_index(tmp_path / "new", dtype="flaot16")


def test_chosen_and_sorted_rows_find_their_records(tmp_path):
    split_into_chunks(_numbers(10), tmp_path / "new")
    index = load_index(tmp_path / "new")
    index["fold"] = index["n"] % 2
    chosen = index[index["n"] > 6].sort_values("n", ascending=False).reset_index(drop=True)
    read = read_from_index(chosen)
    assert len(read) == 3
    assert [(int(read(i)[0][0, 0]), read(i)[1]["fold"]) for i in range(3)] == [
        (9, 1),
        (8, 0),
        (7, 1),
    ]
    assert read(-1)[1]["name"] == read(np.int64(2))[1]["name"] == "007"
    for outside in (3, -4):
        with pytest.raises(PositionError):
            read(outside)


def _first(read, row):
    return int(read(row)[0][0, 0])


@pytest.mark.parametrize("start", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_the_reader_works_in_other_processes(tmp_path, start):
    split_into_chunks(_numbers(10), tmp_path / "new")
    read = read_from_index(load_index(tmp_path / "new"), in_memory=True)
    assert _first(read, 4) == 4
    assert _first(pickle.loads(pickle.dumps(read)), 4) == 4
    with multiprocessing.get_context(start).Pool(1) as pool:
        assert pool.starmap(_first, [(read, 3), (read, 9)]) == [3, 9]


def test_an_index_keeps_to_its_version(tmp_path):
    split_into_chunks(_numbers(5), tmp_path / "new")
    index = load_index(tmp_path / "new")
    with PackWriter(tmp_path / "new") as writer:
        writer.append(np.full((2, 3), 99), n=99)
    assert [_first(read_from_index(index), row) for row in range(5)] == list(range(5))
    assert len(load_index(tmp_path / "new")) == 6

    (tmp_path / "new").rename(tmp_path / "moved")
    assert _first(read_from_index(index, chunk_paths=tmp_path / "moved" / "chunks"), 3) == 3
    split_into_chunks(_numbers(5), tmp_path / "new")
    with pytest.raises(VersionGoneError, match="load the index again"):
        read_from_index(index)


def test_an_index_that_says_not_where_it_belongs_is_refused(tmp_path):
    split_into_chunks(_numbers(5), tmp_path / "new")
    index = load_index(tmp_path / "new")
    index.attrs.clear()
    with pytest.raises(UsageError, match="chunk_paths"):
        read_from_index(index)
    assert _first(read_from_index(index, chunk_paths=tmp_path / "new"), 3) == 3
    with pytest.raises(UsageError, match="load_index"):
        read_from_index(index[["n"]])
    with pytest.raises(PathNotFoundError):
        load_index(tmp_path / "index.csv")
    (tmp_path / "index.csv").write_text("")
    with pytest.raises(FormatError):
        load_index(tmp_path)


def test_an_empty_list_makes_an_empty_dataset(tmp_path):
    split_into_chunks([], tmp_path / "new")
    index = load_index(tmp_path / "new")
    assert len(index) == len(read_from_index(index)) == 0


@given(
    arrays.arrays(
        st.sampled_from(
            ["bool", "int8", "uint8", "int32", "int64", "uint64", "float16", "float64"]
        ),
        st.integers(0, 5),
    ),
    st.sampled_from(
        ["bool", "int8", "uint8", "int64", "uint64", "float16", "float32", "complex64"]
    ),
)
def test_no_conversion_changes_a_value_unseen(array, dtype):
    try:
        made = converted(array, np.dtype(dtype))
    except UsageError:
        return
    assert made.dtype == dtype
    for before, after in zip(array.tolist(), made.tolist(), strict=True):
        if array.dtype.kind == "f" and made.dtype.kind in "fc":
            assert np.isfinite(before) == np.isfinite(after)
        else:
            assert before == after


def test_whatever_fits_is_converted():
    for value, dtype in [(255, "uint8"), (-128, "int8"), (2048, "float16"), (2**53, "float64")]:
        assert converted(np.array([value, 0]), np.dtype(dtype)).tolist() == [value, 0]
    assert converted(np.array([0.1]), np.dtype("float16"))[0] == np.float16(0.1)
    for value, dtype in [(2**53 + 1, "float64"), (2**63 - 1, "float64"), (256, "uint8")]:
        with pytest.raises(UsageError):
            converted(np.array([value]), np.dtype(dtype))
    for lossy in (0.5, float("nan"), 2.0**63, 1j):
        with pytest.raises(UsageError):
            converted(np.array([lossy]), np.dtype("int64"))


def test_a_reader_stays_at_its_records_while_the_journal_grows(tmp_path):
    split_into_chunks([(np.full(2, n), {"n": n}) for n in range(5)], tmp_path / "ds")
    with PackWriter(tmp_path / "ds") as writer:
        writer.append(np.full(2, 5), {"n": 5}, key="five")
        writer.flush()
        index = load_index(tmp_path / "ds")
        writer.delete("five")
        writer.append(np.full(2, 6), {"n": 6})
        writer.flush()
        read = read_from_index(index)
        assert [int(read(n)[0][0]) for n in range(len(read))] == list(range(6))
