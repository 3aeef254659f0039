"""Which hub, and with which key: the old order, and the key goes to its hub only."""

import os
import stat
from pathlib import Path

import pytest

from haversack.errors import (
    APIKeyNotFound,
    AuthenticationError,
    EntityDoesNotExist,
    MLHubException,
    ProfilesError,
    UsageError,
)
from haversack.hub import Session, get_session
from haversack.hub.profiles import Profile, profiles_path, read_profile, write_profile

ROOT = "https://hub.example/mlhub/v1/"


def profile(name="default"):
    found = read_profile(name)
    assert found is not None
    return found


def sent(session):
    """The key that a session sends, whatever way."""
    from haversack.download.origin import Origin

    origin = Origin.of(session.root_url)
    header = session.secrets.headers(origin).get("Authorization", "").removeprefix("Bearer ")
    query = session.secrets.signed("", origin).removeprefix("?key=")
    return header or query or None


def test_the_key_comes_from_the_first_place_that_has_one(monkeypatch):
    monkeypatch.setenv("MLHUB_ROOT_URL", ROOT)
    assert sent(get_session()) is None
    write_profile(api_key="default-key")
    assert sent(get_session()) == "default-key"
    write_profile("other", api_key="other-key")
    monkeypatch.setenv("MLHUB_PROFILE", "other")
    assert sent(get_session()) == "other-key"
    assert sent(get_session(profile="default")) == "default-key"
    monkeypatch.setenv("MLHUB_API_KEY", "environment-key")
    assert sent(get_session(profile="default")) == "environment-key"
    assert sent(get_session(api_key="argument-key")) == "argument-key"


def test_the_anonymous_profile_sends_no_key(monkeypatch):
    write_profile(api_key="default-key", root_url=ROOT)
    assert sent(get_session(profile="__anonymous__", root_url=ROOT)) is None


def test_the_hub_comes_from_the_first_place_that_names_one(monkeypatch):
    write_profile(root_url="https://profile.example/api")
    assert get_session().root_url == "https://profile.example/api/"
    monkeypatch.setenv("MLHUB_ROOT_URL", "https://environment.example/api/")
    assert get_session().root_url == "https://environment.example/api/"
    assert get_session(root_url=ROOT).root_url == ROOT


def test_without_a_hub_the_error_says_what_to_do():
    for ask in (get_session, lambda: Session(api_key="k"), lambda: get_session(api_key="k")):
        with pytest.raises(MLHubException, match="closed.*configure.*MLHUB_ROOT_URL.*serve"):
            ask()


def test_a_profiles_key_goes_to_the_profiles_hub_only():
    write_profile(api_key="my-key", root_url=ROOT)
    assert sent(get_session()) == "my-key"
    assert sent(get_session(root_url=ROOT)) == "my-key"
    assert sent(get_session(root_url="https://other.example/mlhub/v1/")) is None
    assert sent(get_session(root_url="http://hub.example/mlhub/v1/")) is None


def test_a_profile_that_is_named_must_exist(monkeypatch):
    monkeypatch.setenv("MLHUB_ROOT_URL", ROOT)
    with pytest.raises(APIKeyNotFound, match="configure --profile missing"):
        get_session(profile="missing")
    with pytest.raises(APIKeyNotFound):
        Session.from_config("missing")
    with pytest.raises(APIKeyNotFound, match="MLHUB_API_KEY"):
        Session.from_env()


def test_sessions_open_from_environment_and_file(monkeypatch):
    monkeypatch.setenv("MLHUB_ROOT_URL", ROOT)
    monkeypatch.setenv("MLHUB_API_KEY", "environment-key")
    write_profile("mine", api_key="profile-key")
    assert sent(Session.from_env()) == "environment-key"
    assert sent(Session.from_config("mine")) == "profile-key"


def test_a_key_goes_into_the_query_only_where_a_profile_says_so():
    write_profile(api_key="my key%", root_url=ROOT)
    path = profiles_path()
    path.write_text(f"[default]\napi_key = my-key\nroot_url = {ROOT}\nsend_key = query\n")
    session = get_session()
    from haversack.download.origin import Origin

    assert session.secrets.headers(Origin.of(ROOT)) == {}
    assert sent(session) == "my-key"
    assert "my-key" not in f"{session!r}{session.url('datasets')}{read_profile()!r}"


@pytest.mark.parametrize(
    ("given", "root"),
    [
        ("https://hub.example", ROOT),
        ("https://hub.example/", ROOT),
        ("hub.example", ROOT),
        ("localhost:8000", "http://localhost:8000/mlhub/v1/"),
        ("https://hub.example/mlhub/v1", ROOT),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000/mlhub/v1/"),
        ("https://hub.example/other/api", "https://hub.example/other/api/"),
    ],
)
def test_root_urls_are_completed(given, root):
    assert get_session(root_url=given).root_url == root


@pytest.mark.parametrize(
    "root", ["ftp://hub.example/", "https://user:word@hub.example/", "https://"]
)
def test_what_is_no_root_url_is_refused(root):
    with pytest.raises(MLHubException) as caught:
        get_session(root_url=root)
    assert "word" not in str(caught.value).replace("password", "")


@pytest.mark.parametrize("key", ["a\r\nX-Evil: 1", "a b", "ü"])
def test_a_key_that_breaks_a_header_is_refused(key):
    with pytest.raises(AuthenticationError) as caught:
        get_session(api_key=key, root_url=ROOT)
    assert key not in str(caught.value)


# The file


def test_the_profiles_file_is_its_owners_alone(tmp_path):
    path = write_profile(api_key="%(x)s", root_url=ROOT)
    assert path == tmp_path / "mlhub" / "profiles"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    os.chmod(path, 0o644)
    write_profile("second", api_key="2")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert profile().api_key == "%(x)s"
    assert profile("second").root_url is None
    assert read_profile("third") is None


def test_the_file_lies_at_home_by_default(monkeypatch):
    monkeypatch.delenv("MLHUB_HOME")
    assert profiles_path() == Path.home() / ".mlhub" / "profiles"


def test_the_old_clients_file_is_read():
    profiles_path().parent.mkdir()
    profiles_path().write_text("[default]\napi_key = old-key\n\n[other]\napi_key=x\n")
    assert profile().api_key == "old-key"
    assert profile("other").api_key == "x"


@pytest.mark.parametrize("content", [b"api_key = my-secret\n", b"[a]\nmy-secret\n", b"\xff\xfe"])
def test_a_damaged_file_is_named_and_not_shown(content):
    profiles_path().parent.mkdir()
    profiles_path().write_bytes(content)
    with pytest.raises(MLHubException, match="cannot read .*profiles") as caught:
        read_profile()
    assert "my-secret" not in str(caught.value)


@pytest.mark.parametrize("name", ["", " ", "a\nb", "a]b", "[a", "\x1b[0m", "a\0", " a"])
def test_a_name_that_would_break_the_file_is_refused(name):
    path = write_profile(api_key="1")
    before = path.read_bytes()
    with pytest.raises(UsageError, match="no name for a profile"):
        write_profile(name, api_key="2")
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "root", ["nonsense", "ftp://hub.example/", "https://", f"{ROOT}\n[evil]", "http://a:word@b/"]
)
def test_a_root_url_that_is_none_is_not_kept(root):
    with pytest.raises(UsageError, match="no root URL of a hub") as caught:
        write_profile(root_url=root)
    assert "word" not in str(caught.value)
    assert not profiles_path().exists()


def test_a_key_of_several_lines_is_not_kept():
    with pytest.raises(UsageError, match="control characters") as caught:
        write_profile(api_key="my-secret\n[evil]")
    assert "my-secret" not in str(caught.value)


def test_what_else_a_profile_says_is_kept():
    path = write_profile(api_key="1", root_url=ROOT)
    path.write_text(path.read_text().rstrip() + "\nsend_key = query\n")
    write_profile(api_key="2")
    assert profile() == Profile("default", "2", None, key_in_query=True)


def test_a_linked_profiles_file_stays_a_link(tmp_path):
    real = tmp_path / "settings" / "mlhub"
    real.parent.mkdir()
    real.write_text("[other]\napi_key = 1\n")
    profiles_path().parent.mkdir()
    profiles_path().symlink_to(real)
    write_profile(api_key="2")
    assert profiles_path().is_symlink()
    assert "[other]" in real.read_text()
    assert "[default]" in real.read_text()


def test_a_damaged_file_matters_only_where_it_is_needed(monkeypatch):
    profiles_path().parent.mkdir()
    profiles_path().write_text("my-secret")
    assert sent(get_session(api_key="k", root_url=ROOT)) == "k"
    monkeypatch.setenv("MLHUB_ROOT_URL", ROOT)
    with pytest.raises(MLHubException, match="cannot read .*profiles"):
        get_session()
    monkeypatch.setenv("MLHUB_API_KEY", "environment-key")
    assert sent(get_session()) == "environment-key"


# Answers


def test_an_unknown_thing_is_reported_at_once(hub):
    with pytest.raises(EntityDoesNotExist):
        get_session().get("datasets/unknown")


def test_a_wrong_key_is_refused_without_being_shown(served):
    session = get_session(api_key="wrong-key", root_url=served.url)
    with pytest.raises(AuthenticationError, match="refuses the API key") as caught:
        session.get("datasets")
    assert "wrong-key" not in str(caught.value)
    assert served.url in str(caught.value)


def test_a_missing_key_is_asked_for(served):
    with pytest.raises(AuthenticationError, match="asks for an API key.*MLHUB_API_KEY"):
        get_session(root_url=served.url).get("datasets")


def test_an_open_hub_needs_no_key(open_hub):
    assert len(get_session(root_url=open_hub.url).get("datasets")) == 3


def test_a_hub_that_does_not_answer_is_named():
    with pytest.raises(MLHubException, match="http://127.0.0.1:1/mlhub/v1/.*cannot reach"):
        get_session(root_url="http://127.0.0.1:1").get("datasets")


def test_a_page_that_is_no_api_is_named(served):
    with pytest.raises(MLHubException, match="expected"):
        get_session(root_url=f"{served.url.rstrip('/')}/x").get(served.url)


def test_pages_are_followed(hub):
    pages = get_session().paginate("collections/demo_crop_seasons_source/items", {"limit": 3})
    sizes = [len(page["features"]) for page in pages]
    assert len(sizes) > 2
    assert set(sizes[:-1]) == {3}


def test_a_link_by_http_to_an_https_hub_is_asked_by_https():
    session = get_session(root_url=ROOT)
    assert session._as_safe("http://hub.example/mlhub/v1/x?token=1") == f"{ROOT}x?token=1"
    assert session._as_safe("http://other.example/x") == "http://other.example/x"


@pytest.mark.parametrize("content", [b"no section = here", b"\xff\xfe", b"[a]\n[a]\n"])
def test_a_damaged_profiles_file_is_told_as_that(content):
    profiles_path().parent.mkdir()
    profiles_path().write_bytes(content)
    for use in (get_session, read_profile, write_profile, Session.from_config):
        with pytest.raises(ProfilesError, match="cannot read .*profiles") as caught:
            use()
        assert (caught.value.exit_code, isinstance(caught.value, MLHubException)) == (7, True)


@pytest.mark.skipif(os.name != "posix", reason="no such permissions")
def test_keys_that_others_can_read_are_told_of_once(caplog):
    path = write_profile(api_key="my-key", root_url=ROOT)
    write_profile("open", root_url=ROOT)
    get_session()
    assert caplog.text == ""
    path.chmod(0o644)
    read_profile("open")
    assert caplog.text == ""
    for _ in range(2):
        get_session()
    assert caplog.text.count("others can read it") == 1
    assert "my-key" not in caplog.text


def test_a_key_goes_before_a_profile_that_is_not_there_which_is_told(monkeypatch, caplog):
    monkeypatch.setenv("MLHUB_API_KEY", "environment-key")
    assert sent(get_session(root_url=ROOT)) == "environment-key"
    assert caplog.text == ""
    assert sent(get_session(profile="zz", root_url=ROOT)) == "environment-key"
    assert "no profile 'zz'" in caplog.text
