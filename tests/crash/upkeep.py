"""Scenarios of looking after a dataset: tags, compaction, removal of files."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from haversack.packed import PackWriter, compact, is_packed, open_packed, pack, repair

from .check import BrokenPromiseError, visible
from .scenarios import ALL, record, say, scenario

__all__ = ["ALL"]
BEFORE = [(key, 0) for key in range(6)]


def several_chunks(path):
    """Make a dataset of three chunks, one deleted row, and a journal."""
    for first in (0, 2, 4):
        with PackWriter(path) as writer:
            for key in (first, first + 1):
                array, metadata = record(key, 0)
                writer.append(array, metadata, key=key)
    with PackWriter(path) as writer:
        array, metadata = record(7, 0)
        writer.append(array, metadata, key=7)
        writer.flush()
        writer.delete(7)


@scenario(
    [[("delete", 1)], [], [("add", 8), ("put", 2)], []],
    prepare=several_chunks,
    before=BEFORE,
    spare=frozenset({"names in ds"}),  # which a writer syncs for one that died; all are there
)
def compaction(path, step):
    """Compactions between commits that stay in the journal."""
    for number in step:
        with step(number) as change:
            if number % 2:
                compact(path)
            else:
                writer = PackWriter(path)
                change(writer)
                writer.flush()


@scenario([[("delete", 1)], [], [("put", 4)], []], prepare=several_chunks, before=BEFORE)
def removal(path, step):
    """Compactions that remove all but the newest version."""
    for number in step:
        with step(number) as change:
            if number % 2:
                compact(path, remove=True, keep=1, older_than=-1)
            else:
                with PackWriter(path) as writer:
                    change(writer)


@scenario(
    ([[], []], [[("add", 1000)], [("add", 1001), ("delete", 1000)]]),
    prepare=several_chunks,
    before=BEFORE,
)
def compaction_beside_a_writer(path, step):
    for number in step:
        with step(number) as change:
            if step.writer == 0:
                compact(path)
            else:
                with PackWriter(path) as writer:
                    change(writer)


def tagged_versions_are_there(path, said):
    """Raise unless each acknowledged tag opens what was tagged."""
    texts = [text for _, text in said]
    for text in texts:
        if text.startswith("SAW"):
            _, number, seen = text.split(" ", 2)
            if f"ACK {number}" in texts:
                found = visible(path, version=f"tag {number}", torn=True)
                if [list(pair) for pair in found] != json.loads(seen):
                    raise BrokenPromiseError(f"tag {number} is {found}, not {seen}")


@scenario(
    [[("add", 0)], [], [("add", 1), ("delete", 0)], [], [("add", 2)], [("put", 1)]],
    look=tagged_versions_are_there,
)
def tags(path, step):
    """Tags of versions that would soon be kept no longer, one in the middle of a journal."""
    from haversack.packed.manifests import publishing

    vars(publishing).update(KEPT=2)
    writer = None
    for number in step:
        with step(number) as change:
            if number in {1, 3}:
                ds = open_packed(path)
                seen = [(each.key, each.metadata["step"]) for each in ds]
                say(f"SAW {number} {json.dumps(seen)}")
                ds.tag(f"tag {number}")
            else:
                writer = writer or PackWriter(path)
                change(writer)
                writer.flush()
                if number == 4:
                    writer.close()
        writer = None if step.failed or number == 4 else writer


def damaged(path):
    """Make a dataset whose newest manifest, of an empty journal, cannot be read."""
    several_chunks(path)
    newest = max(path.glob("manifest/*.json"))
    (newest.parent / f"{int(newest.stem) + 1:08}.json").write_bytes(newest.read_bytes()[:-1])


@scenario(
    [[]],
    prepare=damaged,
    before=BEFORE,
    mend=repair,
    # What cannot be read is what a repair leaves out, and it acknowledges no records.
    without=frozenset(
        {
            "struck reading EIO",
            "powerless_after kill",
            "powerless_after kill in sync EIO",
            "unsynced",
        }
    ),
)
def repairing(path, step):
    """A repair that is gone on from by another one."""
    for number in step:
        with step(number):
            repair(path)


def without_its_manifest(path):
    """Make a dataset whose newest manifest is lost, which named a journal."""
    several_chunks(path)
    writer = PackWriter(path)
    for key in (8, 9):
        array, metadata = record(key, 0)
        writer.append(array, metadata, key=key)
        writer.flush()
    writer.close(seal=False)
    max(path.glob("manifest/*.json")).unlink()


@scenario(
    [[]],
    prepare=without_its_manifest,
    before=[*BEFORE, (8, 0), (9, 0)],
    mend=repair,
    without=ALL["repairing"].without,
)
def taking_back(path, step):
    """A repair that takes back the commits of a journal, and is gone on from by another one."""
    for number in step:
        with step(number):
            repair(path)


ITEMS = list(range(9))


def resumed(path, said):
    """Build again where it was not done: that ends in the same as an uninterrupted build."""
    if not is_packed(path):
        build_in_runs(path)
        build_in_runs(path.parent / "again")
        again = open_packed(path.parent / "again")
        if layout(open_packed(path)) != layout(again) or again.keys() != ITEMS:
            raise BrokenPromiseError(f"{layout(open_packed(path))} was built")
        shutil.rmtree(again.path)


def layout(ds):
    rows = [chunk.rows for chunk in ds.located()[0].manifest.chunks]
    return rows, [(each.key, each.data.tolist(), each.metadata) for each in ds]


@scenario(
    [[("add", item) for item in ITEMS]],
    look=resumed,
    # What a build notes of its progress only saves work.
    spare=frozenset({"data in ds/build", "names in ds/build"}),
)
def build(path, step):
    """A build of several runs in threads, gone on from where it was killed."""
    for number in step:
        with step(number):
            build_in_runs(path)


def build_in_runs(path):
    from haversack.packed.build import building, reading, runs

    for module in (building, reading, runs):
        vars(module).update(SAMPLE=2, _MOST_ITEMS=3)
    with ThreadPoolExecutor(2) as executor:
        pack(
            ITEMS,
            path,
            read=partial(record, step=0),
            key=int,
            chunk_bytes=10,
            executor=executor,
        )
