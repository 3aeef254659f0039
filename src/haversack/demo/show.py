"""The main job from end to end: make a hub, serve it, find, download, pack, read, fit and draw."""

from __future__ import annotations

import os
import shlex
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from haversack.demo import crops
from haversack.demo.hub import make_hub
from haversack.demo.landscape import CROPS
from haversack.demo.narrator import Echo, Narrator, megabytes, stopwatch, write_line
from haversack.errors import AuthenticationError, ExistsError, MissingExtraError, StorageError
from haversack.events import Progress

if TYPE_CHECKING:
    from haversack.demo.fit import Model, Season
    from haversack.hub import Dataset, Session
    from haversack.packed import PackedDataset

API_KEY = "demo-key"
AREA = (16.50, 48.22, 16.62, 48.32)
DATES = "2023-04-01/2023-09-15"
_WANTED = {crops.SOURCE: ["image", "cloud_mask"], crops.LABELS: ["labels", "test_split"]}
_NEEDED = ("rasterio", "starlette", "uvicorn", "matplotlib")
_BATCH = 64


@dataclass(frozen=True, slots=True)
class _Job:
    """What every phase needs to know."""

    say: Narrator
    work: Path
    output: Path
    kept: bool
    small: bool
    seconds: float
    progress: Progress
    pictures: list[Path] = field(default_factory=list)

    @property
    def hub(self) -> Path:
        return self.work / "hub"

    @property
    def tree(self) -> Path:
        return self.work / "download" / crops.ABOUT.id

    @property
    def packed(self) -> Path:
        return self.work / "packed"


def run(
    output: str | os.PathLike[str],
    *,
    keep: str | os.PathLike[str] | None = None,
    small: bool = False,
    seconds: float = 3.0,
    echo: Echo = write_line,
    progress: Progress = True,
) -> None:
    """Show the main job on a generated hub, and say what is being done.

    Nothing outside of this machine is reached, and nothing that the user has set for other hubs
    (``MLHUB_*``, profiles, proxies) plays a part.

    Parameters
    ----------
    output
        Where the pictures go: ``contact_sheet.png`` and ``footprints.png``.
    keep
        Leave the hub, the download and the packed dataset here; otherwise they are made in a
        temporary directory and removed.
    small
        A few dozen tiny assets only.
    seconds
        How long batches are drawn.
    echo
        Called with each line.
    progress
        True draws bars on stderr; a callable is told of each event.

    Raises
    ------
    ExistsError
        ``keep`` is not empty, or ``output`` or ``keep`` is a file.
    StorageError
        Nothing can be written to ``output`` or ``keep``.
    MissingExtraError
        It needs ``haversack[server,geo,plot]``.
    KeyboardInterrupt
        It was interrupted; what was kept has been said, and nothing goes on running.
    """
    _require_extras()
    _require_place(Path(output))
    say = Narrator(echo)
    say.plain("haversack demo: from a hub to a trained model, on data made on the spot")
    with _workplace(keep) as work:
        job = _Job(say, work, Path(output), keep is not None, small, seconds, progress)
        try:
            _do(job)
        except KeyboardInterrupt:
            _interrupted(job)
            raise


def _require_extras() -> None:
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise MissingExtraError(
            f"the demo needs {', '.join(missing)}: pip install 'haversack[server,geo,plot]'"
        )


@contextmanager
def _workplace(keep: str | os.PathLike[str] | None) -> Iterator[Path]:
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="haversack-demo-") as name:
            yield Path(name)
        return
    work = Path(keep)
    _require_place(work)
    taken = sorted(work.iterdir()) if work.exists() else []
    if taken:
        raise ExistsError(
            f"{taken[0]} is there from before: keep this demo in a new or empty directory"
        )
    work.mkdir(parents=True, exist_ok=True)
    yield work


def _require_place(directory: Path) -> None:
    """Refuse a directory that cannot be written to, before any work is done for it."""
    whole = directory.absolute()
    there = next(place for place in (whole, *whole.parents) if os.path.lexists(place))
    if not there.is_dir():
        raise ExistsError(f"{there} is no directory: remove it, or give another place")
    if not os.access(there, os.W_OK | os.X_OK):
        raise StorageError(f"nothing can be written in {there}: give another place")


def _do(job: _Job) -> None:
    from haversack.hub import Session
    from haversack.server import background

    _make(job)
    with background(job.hub, api_key=API_KEY) as server:
        job.say.phase("Serving it", f" at {server.url}, with an API key")
        _refuse(job, server.api_root)
        # Made by hand, and not by get_session, which reads the user's variables and profiles.
        _download(job, _find(job, Session(api_key=API_KEY, root_url=server.api_root)))
    with _pack(job) as packed:
        model, seasons = _use(job, packed)
        _draw(job, packed, model, seasons)
    _farewell(job)


def _make(job: _Job) -> None:
    job.say.phase("Making a hub", f" of three generated datasets in {job.hub}")
    with stopwatch() as passed:
        make_hub(job.hub, small=job.small, progress=job.progress)
    assets = _assets(job.hub)
    size = sum(path.stat().st_size for path in assets)
    job.say.say(f"{len(assets):,} assets, a file each, of {megabytes(size)} in {passed():.1f} s")


def _assets(tree: Path) -> list[Path]:
    """Find the files below the directories of a tree that are no documents."""
    return [path for path in tree.glob("*/**/*") if path.is_file() and path.suffix != ".json"]


def _refuse(job: _Job, root_url: str) -> None:
    from haversack.hub import Dataset, Session

    try:
        Dataset.list(session=Session(api_key="a-wrong-key", root_url=root_url))
    except AuthenticationError as error:
        job.say.say(f"a wrong key is refused: {error}")


def _find(job: _Job, session: Session) -> Dataset:
    from haversack.hub import Dataset

    say = job.say
    say.phase("Finding a dataset, and downloading a part of it")
    listed = Dataset.list(session=session)
    say.rows([(found.id, found.title or "", ", ".join(found.tags[:3])) for found in listed])
    tagged = Dataset.list(tags="segmentation", session=session)
    say.say(f"with the tag 'segmentation': {', '.join(found.id for found in tagged)}")
    told = Dataset.list(text="river", session=session)
    say.say(f"with the text 'river': {', '.join(found.id for found in told)}")
    dataset = Dataset.fetch(crops.ABOUT.id, session=session)
    say.say(
        f"{dataset.id} has {megabytes(dataset.estimated_dataset_size or 0)} of assets and "
        f"{megabytes(dataset.stac_catalog_size or 0)} of catalog"
    )
    return dataset


def _download(job: _Job, dataset: Dataset) -> None:
    say = job.say
    say.say(f"of it: {len(_WANTED)} collections, dates {DATES}, area {AREA}")
    wanted: dict[str, Any] = {
        "output_dir": job.tree.parent,
        "collection_filter": _WANTED,
        "datetime": DATES,
        "bbox": AREA,
    }
    first = dataset.download(**wanted, progress=job.progress)
    say.say(
        f"fetched {first.fetched:,} assets ({megabytes(first.bytes)}) in {first.seconds:.1f} s: "
        f"{first.fetched / first.seconds:,.0f} assets/s"
    )
    say.say(f"in {len(_assets(job.tree)):,} files: an asset that items share comes once")
    again = dataset.download(**wanted, progress=None)
    say.say(
        f"the same again: {again.fetched} fetched, {again.present:,} here already, "
        f"in {again.seconds:.2f} s"
    )


def _pack(job: _Job) -> PackedDataset:
    from haversack.convert import pack_catalog

    job.say.phase("Packing the images", " with their STAC properties")
    with stopwatch() as passed:
        packed = pack_catalog(job.tree, job.packed, progress=job.progress)
    about = packed.info()
    rows = [(name, str(about[name])) for name in ("records", "arrays", "chunks", "keys")]
    rows.append(("bytes", f"{about['bytes']:,}"))
    rows.append(("columns", ", ".join(list(about["columns"])[:7]) + ", ..."))
    job.say.rows(rows)
    job.say.say(f"in {passed():.1f} s")
    return packed


def _use(job: _Job, packed: PackedDataset) -> tuple[Model, list[Season]]:
    """Draw batches for a while, then fit something tiny; the held-out places are returned."""
    from haversack.demo.fit import fit, read_season, score

    say = job.say
    images = packed.filter("asset = 'image'")
    say.phase("Drawing shuffled batches", f" of {_BATCH} images for {job.seconds:g} s")
    records, volume, elapsed = _draw_batches(images, job.seconds)
    say.say(
        f"{records / elapsed:,.0f} records/s, {volume / elapsed / 1e6:,.0f} MB/s "
        f"({records:,} images of {'x'.join(map(str, images[0].data.shape))} uint16, from memory)"
    )
    say.say("fitting softmax regression: the crop of each pixel from its season (numpy alone)")
    test = set((job.tree / "_common" / "test_split.csv").read_text().split()[1:])
    places = sorted(set(images.metadata()["place"]))
    seasons = [read_season(packed, place) for place in places]
    training = [season for season in seasons if season.place not in test]
    held_out = [season for season in seasons if season.place in test]
    with stopwatch() as passed:
        model = fit(training, len(CROPS))
    result = score(model, training, held_out)
    say.say(
        f"{result.accuracy:.0%} of {result.pixels:,} pixels right, in places that it never saw; "
        f"the commonest crop alone: {result.majority:.0%} ({passed():.1f} s)"
    )
    return model, held_out


def _draw_batches(images: PackedDataset, seconds: float) -> tuple[int, int, float]:
    """Draw whole epochs until the time is over: records, bytes, seconds."""
    started, records, volume, epoch = time.perf_counter(), 0, 0, 0
    while True:
        for batch in images.batches(_BATCH, shuffle=True, seed=1, epoch=epoch):
            records += len(batch.indices)
            volume += batch.data.nbytes
            elapsed = time.perf_counter() - started
            if elapsed >= seconds:
                return records, volume, elapsed
        epoch += 1


def _draw(job: _Job, packed: PackedDataset, model: Model, seasons: list[Season]) -> None:
    from haversack.demo.pictures import draw_map, draw_sheet

    job.say.phase("Drawing", " a contact sheet and a map")
    _show(job, draw_sheet(packed, model, seasons, job.output / "contact_sheet.png"))
    _show(job, draw_map(job.tree, job.output / "footprints.png", area=AREA, dates=DATES))


def _show(job: _Job, picture: Path) -> None:
    job.pictures.append(picture)
    job.say.say(str(picture))


def _farewell(job: _Job) -> None:
    say = job.say
    say.plain("")
    say.plain(f"Done in {say.seconds:.0f} s. The pictures are in {job.output}.")
    if not job.kept:
        say.plain("The hub, the download and the packed dataset were temporary.")
        say.plain("Next, to keep and explore them:  haversack demo --keep demo-data")
        return
    say.plain("Next:")
    say.plain(f"  haversack info {_quoted(job.tree)}")
    say.plain(f"  haversack read {_quoted(job.packed)} --where \"asset = 'labels'\"")
    say.plain(f"  haversack serve {_quoted(job.hub)}")


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))


def _interrupted(job: _Job) -> None:
    job.say.plain("")
    job.say.plain(f"Interrupted ({job.say.doing}). Nothing goes on running.")
    if job.kept:
        there = [str(path) for path in (job.hub, job.tree, job.packed) if path.exists()]
        job.say.plain(f"Kept: {', '.join(there) or 'nothing yet'}.")
    else:
        job.say.plain("Kept: nothing of the data; it was temporary.")
    if job.pictures:
        job.say.plain(f"Pictures: {', '.join(map(str, job.pictures))}.")
