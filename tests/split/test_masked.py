"""A masked array is refused wherever it would be written, for its mask would be lost."""

import numpy as np
import pytest

from haversack.errors import UnsupportedError
from haversack.split import (
    EmptySplitDataset,
    FrameWriter,
    SplitDataset,
    save_frames,
    save_to_split_dataset,
)
from haversack.split.frames import save_all_frames

DATA = np.arange(24).reshape(6, 4)
MASKED = np.ma.masked_array(DATA, mask=DATA % 5 == 0)


class Sliced:
    """An array on disk that gives masked arrays, as those of netCDF4 do."""

    shape, dtype = DATA.shape, DATA.dtype

    def __getitem__(self, index):
        return MASKED[index]


def write_block(path, data):
    empty = EmptySplitDataset(path.parent, path.name, DATA.shape, (6, 4))
    try:
        empty.save_block_data(0, data)
    finally:
        assert empty.missing == [0]
        (path / "unfinished.json").unlink()
        path.rmdir()


@pytest.mark.parametrize(
    "save",
    [
        lambda path: save_to_split_dataset(MASKED, path),
        lambda path: save_to_split_dataset([*MASKED], path),
        lambda path: save_to_split_dataset(Sliced(), path),
        lambda path: save_frames(MASKED, path),
        lambda path: save_frames(iter(MASKED), path),
        lambda path: save_all_frames([DATA[0], MASKED[1]], path),
        lambda path: FrameWriter(path).append(MASKED[0]),
        lambda path: FrameWriter(path).extend(MASKED),
        lambda path: FrameWriter(path).extend([*MASKED]),
        lambda path: FrameWriter(path).extend(MASKED[0]),  # whose elements are numbers
        lambda path: write_block(path, MASKED),
    ],
)
def test_masked_data_is_refused_and_leaves_nothing(tmp_path, save):
    with pytest.raises(UnsupportedError, match=r"lose its mask: .*data\.filled"):
        save(tmp_path / "a")
    assert not [*tmp_path.iterdir()]


def test_masked_data_is_not_written_over_what_is_there(tmp_path):
    split = save_to_split_dataset(DATA, tmp_path / "a", (4, None))
    for index, value in ((..., MASKED), (0, MASKED[0]), ((0, 0), np.ma.masked)):
        with pytest.raises(UnsupportedError, match="mask"):
            split[index] = value
    with pytest.raises(UnsupportedError, match="mask"):
        split.map_blocks(np.ma.masked_array, to=tmp_path / "b")
    assert {path.name for path in tmp_path.iterdir()} == {"a"}
    np.testing.assert_array_equal(SplitDataset(tmp_path / "a"), DATA)
    assert all(np.ma.isMaskedArray(result) for _, result in split.map_blocks(np.ma.masked_array))


def test_masked_chunks_of_dask_are_refused(tmp_path):
    dask = pytest.importorskip("dask.array")
    with pytest.raises(UnsupportedError, match="mask"):
        save_to_split_dataset(dask.from_array(MASKED, chunks=(3, 4)), tmp_path / "a")
    save_to_split_dataset(dask.from_array(MASKED.filled(0), chunks=(3, 4)), tmp_path / "b")
    np.testing.assert_array_equal(SplitDataset(tmp_path / "b"), MASKED.filled(0))
