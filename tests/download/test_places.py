"""Whatever paths are taken, every one of them can be written beside the others."""

from hypothesis import given
from hypothesis import strategies as st

from haversack.download.places import Places
from haversack.storage.names import fold

PATHS = st.lists(st.lists(st.sampled_from("aAbß"), min_size=1, max_size=3).map("/".join))


@given(PATHS)
def test_every_path_can_be_written_beside_the_others(paths):
    places = Places(["a/b"])
    taken = [fold("a/b")] + [fold(places.take(path, str(n))) for n, path in enumerate(paths)]
    assert len(set(taken)) == len(taken)
    folders = {path[:at] for path in taken for at, sign in enumerate(path) if sign == "/"}
    assert not folders & set(taken)


@given(st.lists(st.sampled_from(["x", "y/z", "y/v", "x.tif"]), unique=True))
def test_paths_that_agree_stay_as_they_are(paths):
    places = Places(["a/b"])
    assert [places.take(path, "") for path in paths] == paths
