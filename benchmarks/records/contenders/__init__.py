"""Who takes part, in the order of the tables: the limit, ours, then the peers."""

from benchmarks.records.contenders import of_arrays, of_bytes, ours, plain
from benchmarks.records.contenders.contender import Contender
from benchmarks.records.contenders.streams import STREAMS

PEERS: tuple[type[Contender], ...] = (
    of_arrays.AcumenIndexer,
    of_bytes.Lmdb,
    of_bytes.ArrayRecord,
    of_bytes.HuggingFace,
    of_arrays.Lance,
    of_bytes.Mds,
    of_arrays.Hdf5,
    of_arrays.Zarr,
    of_arrays.SafeTensors,
    plain.NpyFiles,
)
LIMIT, OURS = plain.Memmap.name, ours.Haversack.name
COMPRESSED = ours.Compressed.name
BARE = plain.BareMap.name
IN_CHUNKS = tuple(ours.in_chunks(number) for number in (10, 100, 1000))
ALL = (BARE, LIMIT, OURS, *(peer.name for peer in PEERS))

# Every contender that some table has, by its name.
CONTENDERS: dict[str, type[Contender]] = {
    contender.name: contender
    for contender in (
        plain.BareMap,
        plain.Memmap,
        ours.Haversack,
        ours.Compressed,
        *PEERS,
        *STREAMS,
        *IN_CHUNKS,
        plain.Sqlite,
    )
}
