"""Writers publish whole versions or nothing, whoever else writes and whoever is killed."""

import os
import signal
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from tests.crash.check import is_torn

from haversack.errors import ExistsError, KeyExistsError, StorageError, UnsupportedError, UsageError
from haversack.packed import PackWriter, open_packed, pack
from haversack.packed.manifests.publishing import KEPT


def run(code, *arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        **options,
    )


def files(path):
    return sorted(str(p.relative_to(path)) for p in path.rglob("*") if p.is_file())


def test_nothing_is_visible_before_a_flush(tmp_path):
    with PackWriter(tmp_path / "ds") as writer:
        writer.append([1])
        writer.flush()
        writer.append([2])
        assert len(open_packed(tmp_path / "ds")) == 1
    assert len(open_packed(tmp_path / "ds")) == 2


def test_a_block_that_fails_leaves_what_was_flushed(tmp_path):
    writer = PackWriter(tmp_path / "ds", chunk_bytes=8)
    writer.append([1])
    writer.flush()
    before = files(tmp_path)
    with pytest.raises(RuntimeError), writer:
        for _ in range(3):
            writer.append([2])
        raise RuntimeError
    assert files(tmp_path) == before
    assert len(open_packed(tmp_path / "ds")) == 1
    with pytest.raises(UsageError, match="closed"):
        writer.append([3])


def test_a_closed_writer_without_records_leaves_an_empty_dataset(tmp_path):
    PackWriter(tmp_path / "ds").close()
    ds = open_packed(tmp_path / "ds")
    assert len(ds) == 0
    assert [*ds, *ds.batches(3), *ds.keys(), *ds.verify()] == []
    assert len(ds.filter("true")) == 0


def test_append_goes_on_after_reopening(tmp_path):
    for number in range(5):
        with PackWriter(tmp_path / "ds") as writer:
            writer.append(np.full(2, number), key=number, n=number)
    ds = open_packed(tmp_path / "ds")
    assert ds.version == 5
    assert ds.take(range(5))[:, 0].tolist() == ds.keys() == list(range(5))


@pytest.mark.parametrize("when", ["in the open chunk", "in a sealed chunk", "in the dataset"])
def test_a_second_record_of_a_key_is_refused_and_the_writer_goes_on(tmp_path, when):
    chunk_bytes = 1 if when == "in a sealed chunk" else 1000
    writer = PackWriter(tmp_path / "ds", chunk_bytes=chunk_bytes)
    writer.append([1], key="a")
    if when == "in the dataset":
        writer.close()
        writer = PackWriter(tmp_path / "ds")
    with writer:
        with pytest.raises(KeyExistsError, match="'a'"):
            writer.append([2], key="a")
        writer.append([3], key="b")
    ds = open_packed(tmp_path / "ds")
    assert [r.data.tolist() for r in ds] == [[1], [3]]
    assert ds.verify() == []


def test_of_two_writers_with_one_key_the_second_to_commit_fails_alone(tmp_path):
    first, second = PackWriter(tmp_path / "ds"), PackWriter(tmp_path / "ds")
    first.append([1], key="a")
    second.append([2], key="b")
    second.append([2], key="a")
    first.close()
    with pytest.raises(KeyExistsError, match="'a' meanwhile"):
        second.close()
    ds = open_packed(tmp_path / "ds")
    assert ds.keys() == ["a"]
    assert len(files(tmp_path / "ds")) == 3


@pytest.mark.parametrize("key", [1.5, True, (1, 2), b"a", 1 << 63, None.__class__])
def test_keys_that_are_neither_text_nor_integers_are_refused(tmp_path, key):
    with PackWriter(tmp_path / "ds") as writer, pytest.raises(UnsupportedError, match="key"):
        writer.append([1], key=key)
    assert len(open_packed(tmp_path / "ds")) == 0


def test_keys_of_one_dataset_are_of_one_type(tmp_path):
    with PackWriter(tmp_path / "ds") as writer:
        writer.append([1], key=7)
        with pytest.raises(UsageError, match="all text or all integers"):
            writer.append([1], key="7")
        with pytest.raises(UsageError, match="Unicode"):
            PackWriter(tmp_path / "other").append([1], key="\ud800")
    assert open_packed(tmp_path / "ds").get("7") is None
    assert open_packed(tmp_path / "ds").get(np.int8(7)).data.tolist() == [1]


def test_empty_and_absent_keys_differ(tmp_path):
    with PackWriter(tmp_path / "ds") as writer:
        for key in ("a", None, "", None, "b"):
            writer.append([1], key=key)
    ds = open_packed(tmp_path / "ds")
    assert ds.keys() == ["a", None, "", None, "b"]
    assert [r.key for r in ds] == ds.keys()
    assert ds.record("").key == ""


def test_a_place_that_holds_something_else_is_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    for place in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(ExistsError, match="notes.txt"):
            PackWriter(place)
    assert files(tmp_path) == ["notes.txt"]


def test_metadata_may_be_named_like_our_parameters(tmp_path):
    with PackWriter(tmp_path / "ds") as writer:
        writer.append([1], {"key": 1, "array": 2, "self": 3}, key="k", metadata=4)
    assert open_packed(tmp_path / "ds")[0].metadata == {
        "key": 1,
        "array": 2,
        "self": 3,
        "metadata": 4,
    }


APPEND = """
    import sys, numpy as np
    from haversack.packed import PackWriter
    path, name, count, each = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    with PackWriter(path) as writer:
        for n in range(count):
            writer.append(np.full(50, n), key=f"{name} {n}", writer=name, n=n)
            if n % each == 0:
                writer.flush()
                print(n, flush=True)
"""


def test_writers_in_several_processes_lose_nothing_and_keep_their_order(tmp_path):
    processes = [run(APPEND, tmp_path / "ds", name, 40, 4) for name in "abc"]
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0
    ds = open_packed(tmp_path / "ds")
    frame = ds.metadata()
    assert len(frame) == 120
    for name in "abc":
        assert frame["n"][frame["writer"] == name].tolist() == list(range(40))
    assert ds.verify() == []


def test_a_killed_writer_leaves_what_it_flushed_and_the_next_goes_on(tmp_path):
    process = run(APPEND, tmp_path / "ds", "a", 10**9, 100)
    for line in process.stdout:
        if int(line) >= 300:
            process.send_signal(signal.SIGKILL)
            break
    acknowledged = max([300, *map(int, process.stdout.read().split())])
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    ds = open_packed(tmp_path / "ds")
    assert len(ds) >= acknowledged + 1
    assert [int(r.data[0]) for r in ds] == list(range(len(ds)))
    assert [damage for damage in ds.verify() if not is_torn(damage)] == []
    with PackWriter(tmp_path / "ds") as writer:
        writer.append([1], key="after")
    ds = open_packed(tmp_path / "ds")
    assert ds[-1].key == "after"
    assert ds.verify() == []


def test_a_writer_killed_before_its_first_flush_leaves_a_place_to_write(tmp_path):
    process = run(APPEND.replace("n % each == 0", "n == each"), tmp_path / "ds", "a", 10**9, 10**9)
    while not list((tmp_path / "ds").glob("chunks/.*")):
        assert process.poll() is None
    process.kill()
    process.communicate(timeout=60)
    assert len(pack([[1]], tmp_path / "ds")) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_leaves_its_parents_writer_alone(tmp_path):
    writer = PackWriter(tmp_path / "ds")
    writer.append([1])
    child = os.fork()
    if child == 0:
        try:
            writer.append([2])
        except UsageError:
            writer.close()
            os._exit(7)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    writer.close()
    assert [r.data.tolist() for r in open_packed(tmp_path / "ds")] == [[1]]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_one_clear_error_and_the_dataset_as_it_was(tmp_path):
    code = """
        import resource, signal, sys, numpy as np
        from haversack.errors import StorageError
        from haversack.packed import PackWriter
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
        try:
            with PackWriter(sys.argv[1]) as writer:
                for _ in range(10):
                    writer.append(np.zeros(1 << 18, "u1"))
        except StorageError as error:
            print(error)
    """
    pack([[1]], tmp_path / "ds")
    before = files(tmp_path)
    output, _ = run(code, tmp_path / "ds").communicate(timeout=60)
    assert "cannot write" in output
    assert files(tmp_path) == before
    assert issubclass(StorageError, OSError)


def test_old_manifests_are_pruned_and_the_newest_kept(tmp_path):
    for number in range(KEPT + 6):
        with PackWriter(tmp_path / "ds") as writer:
            writer.append([number])
    assert len(list((tmp_path / "ds/manifest").iterdir())) == KEPT
    assert [int(r.data[0]) for r in open_packed(tmp_path / "ds")] == list(range(KEPT + 6))


def test_a_slow_writer_rebases_on_what_others_committed(tmp_path):
    slow = PackWriter(tmp_path / "ds")
    slow.append([0])
    for number in range(KEPT + 3):
        with PackWriter(tmp_path / "ds") as writer:
            writer.append([number + 1])
    slow.close()
    found = [int(r.data[0]) for r in open_packed(tmp_path / "ds")]
    assert found == [*range(1, KEPT + 4), 0]


@pytest.fixture
def eager_threads():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_threads_that_share_a_writer_lose_nothing(tmp_path, eager_threads):
    with PackWriter(tmp_path / "ds", chunk_bytes=2000) as writer:

        def work(thread):
            for n in range(150):
                value = thread * 1000 + n
                writer.append(np.full(1 + n % 3, value), key=value, n=value)
                if n % 50 == 7:
                    writer.flush()
                if n % 50 == 20:
                    writer.delete(thread * 1000 + n - 15)

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(work, range(6)))
    ds = open_packed(tmp_path / "ds")
    assert ds.verify() == []
    gone = {5, 55, 105}
    expected = [t * 1000 + n for t in range(6) for n in range(150) if n not in gone]
    assert sorted(ds.metadata()["n"]) == expected
    assert ds.metadata()["n"].tolist() == ds.keys() == [int(r.data[0]) for r in ds]


@pytest.mark.parametrize("metadata", ["key", ["a"], 3, ""])
def test_metadata_that_is_no_mapping_is_refused(tmp_path, metadata):
    with PackWriter(tmp_path / "ds") as writer, pytest.raises(UsageError, match="key=") as caught:
        writer.append([1], metadata)
    assert "mapping" in str(caught.value)
    assert len(open_packed(tmp_path / "ds")) == 0


def test_files_of_others_beside_a_dataset_do_not_stop_writing(tmp_path):
    (tmp_path / "ds").mkdir()
    for name in (".DS_Store", "notes.txt"):
        (tmp_path / "ds" / name).write_text("theirs")
        with PackWriter(tmp_path / "ds") as writer:
            writer.append([1])
    assert len(open_packed(tmp_path / "ds")) == 2
    assert (tmp_path / "ds/notes.txt").read_text() == "theirs"
