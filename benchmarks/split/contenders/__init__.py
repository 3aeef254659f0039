"""Who takes part, in the order of the tables: the limit, ours, then the peers."""

from benchmarks.split.contenders import of_hdf5, of_zarr, ours, plain
from benchmarks.split.contenders.contender import Contender

ALL: tuple[type[Contender], ...] = (
    plain.Memmap,
    ours.Haversack,
    ours.Frames,
    ours.Traces,
    ours.Stored,
    of_hdf5.SplitDataset,
    ours.OfOld,
    of_hdf5.OfOurs,
    of_hdf5.OneFile,
    of_hdf5.Virtual,
    of_zarr.Zarr,
    of_zarr.Zarrs,
    of_zarr.TensorStore,
    of_zarr.TensorFrames,
    of_zarr.TensorStored,
    plain.Blosc2,
)
CONTENDERS = {contender.name: contender for contender in ALL}
NAMES = tuple(CONTENDERS)
LIMIT, OURS, OLD = plain.Memmap.name, ours.Haversack.name, of_hdf5.SplitDataset.name
OURS_OF_OLD, OLD_OF_OURS = ours.OfOld.name, of_hdf5.OfOurs.name
# Those that keep a block in a file.
IN_FILES = (
    OURS,
    OLD,
    OURS_OF_OLD,
    OLD_OF_OURS,
    of_hdf5.Virtual.name,
    of_zarr.Zarr.name,
    of_zarr.Zarrs.name,
    of_zarr.TensorStore.name,
)
TENSORSTORE = (of_zarr.TensorStore.name, of_zarr.TensorFrames.name)
