"""What a download would do, before anything moves."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from haversack.catalog import Catalog, Selection
from haversack.catalog.columns import pieces
from haversack.catalog.source import TreeSource
from haversack.catalog.table import NO_ITEM, UNKNOWN_SIZE
from haversack.catalog.tar import Member
from haversack.download.before import Before
from haversack.download.holdings import Holdings, IfExists, State, Survey
from haversack.download.layout import Layout
from haversack.download.ledger import Ledger
from haversack.download.local import remote_of
from haversack.download.origin import lower_scheme
from haversack.download.output import Output
from haversack.download.stores import Stores
from haversack.download.unpack import placements
from haversack.errors import StorageError


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen of a catalog: a mask of its assets, an eighth of the memory of their rows.

    ``steps`` tells what each filter, by name, has left of the assets.
    """

    catalog: Catalog
    assets: NDArray[np.bool_]
    steps: tuple[tuple[str, int], ...] = ()

    @classmethod
    def of(cls, selection: Selection) -> Choice:
        chosen = np.zeros(len(selection.catalog.assets), bool)
        chosen[selection.assets] = True
        return cls(selection.catalog, chosen, selection.steps)

    def __len__(self) -> int:
        return int(np.count_nonzero(self.assets))


@dataclass(frozen=True, slots=True)
class Plan:
    """The chosen assets, what is here of them, and where everything goes.

    Attributes
    ----------
    output, assets
        The dataset's directory, and that of its assets, which may be another.
    placed
        Files of the archive by the path that they are extracted to.
    """

    catalog: Catalog
    choice: Choice
    layout: Layout
    output: Output
    assets: Output
    placed: dict[str, Member]
    holdings: Holdings

    def files(self, state: State) -> Iterator[tuple[int, str]]:
        """Yield the row and the path of each chosen file in a state."""
        catalog, paths = self.catalog, dict[int, str]()
        last = -1
        for row in rows_of(self._chosen(state)):
            item = int(catalog.assets.item[row])
            if item == NO_ITEM:
                collection = int(catalog.assets.collection[row])
                paths = dict(self.layout.assets_of_collection(collection))
            elif item != last:
                paths = dict(self.layout.assets_of(item))
            last = item
            yield row, paths[row]

    def count_files(self, state: State) -> int:
        """Count the chosen files in a state, each of which several assets may share."""
        return int(np.count_nonzero(self._chosen(state)))

    def _chosen(self, state: State) -> NDArray[np.bool_]:
        """Mask the chosen files in a state, each in the row of its first asset."""
        chosen: NDArray[np.bool_] = np.zeros(len(self.holdings.state), bool)
        for leads, here in zip(pieces(self.holdings.lead), pieces(self.choice.assets), strict=True):
            chosen[leads.compress(here)] = True
        chosen &= self.holdings.state == state
        return chosen

    def count(self, state: State) -> int:
        """Count the chosen assets in a state."""
        return int(np.count_nonzero(self.choice.assets & (self.holdings.states() == state)))

    def waiting(self) -> tuple[int, int]:
        """Give the known bytes to fetch, and the number of files of unknown size."""
        known = unknown = 0
        absent, all_sizes = self._chosen(State.ABSENT), self.catalog.assets.size
        for chosen, sizes in zip(pieces(absent), pieces(all_sizes), strict=True):
            told = chosen & (sizes != UNKNOWN_SIZE)
            known += int(sizes.sum(where=told))
            unknown += int(np.count_nonzero(chosen & ~told))
        return known, unknown

    def free_bytes(self) -> int:
        """Give the bytes that are free where the assets go."""
        return shutil.disk_usage(_existing(self.assets.root)).free

    def check_space(self, here: int) -> None:
        """Refuse to begin what the disk cannot hold.

        Parameters
        ----------
        here
            Bytes of what is to come that lie in half files.

        Raises
        ------
        StorageError
            More bytes are known to come than the disk has free.
        """
        unpacked = sum(m.size for path, m in self.placed.items() if not self.assets.status(path))
        needed = self.waiting()[0] - here + unpacked
        free = self.free_bytes()
        if needed > free:
            raise StorageError(
                f"{self.assets.root}: {needed:,} bytes are to come, and {free:,} are free: choose "
                "fewer assets, or give another asset_output_dir"
            )


def make_plan(
    choice: Choice,
    output: Path,
    assets: Path,
    if_exists: IfExists,
    ledger: Ledger | None,
) -> Plan:
    """Give everything its place, and look at what is here; nothing is written but the ledger."""
    catalog = choice.catalog
    layout = Layout(catalog)
    placed = placements(catalog, layout)
    survey = Survey(
        catalog=catalog,
        layout=layout,
        output=Output(assets),
        ledger=ledger,
        brought={path: member.size for path, member in placed.items()},
        before=Before(output, catalog, layout),
        if_exists=if_exists,
    )
    writers = Output(output, alone=True), Output(assets, alone=True)
    return Plan(catalog, choice, layout, *writers, placed, survey.run())


def address(catalog: Catalog, row: int, stores: Stores) -> str | Path | None:
    """Say where an asset is fetched from: a URL, a file of the catalog's directory, or nowhere."""
    target = lower_scheme(catalog.target(row))
    if "://" in target:
        return stores.url(target)
    if isinstance(catalog.source, TreeSource) and (file := catalog.source.own_file(target)):
        return file
    item = int(catalog.assets.item[row])
    holder = catalog.item(item) if item != NO_ITEM else catalog.collection(_owner(catalog, row))
    remote = remote_of(holder["assets"][catalog.assets.key[row]])
    return None if remote is None else lower_scheme(remote)


def rows_of(mask: NDArray[np.bool_]) -> Iterator[int]:
    """Yield the rows that a mask marks, without a list of all of them."""
    begin = 0
    for piece in pieces(mask):
        # A view, for a list of them would be as large as all that is under way.
        yield from (np.flatnonzero(piece) + begin).data
        begin += len(piece)


def _owner(catalog: Catalog, row: int) -> int:
    return int(catalog.assets.collection[row])


def _existing(path: Path) -> Path:
    path = Path(os.path.abspath(path))  # noqa: PTH100 (resolves no symlink)
    return next(folder for folder in (path, *path.parents) if folder.exists())
