"""Whatever stands where a URL should: one error of ours, and no secret in what is said of it."""

import re
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from haversack.download.addresses import AddressRule, hosts_of
from haversack.download.line import Refused, next_hop
from haversack.download.origin import Origin, canonical, joined, located, parsed, shown
from haversack.download.signatures import unsigned
from haversack.download.sources.choose import StacApi, is_bundled, name_of, origin_of
from haversack.errors import UsageError

BAD = [
    "http://[bad/x",
    "http://h:99999/x",
    "http://h:0/x",
    "http://h:port/x",
    "http://[x]/",
    "s3://[/",
]
SCHEMES = [
    "http://",
    "https://",
    "//",
    "s3://",
    "abfs://",
    "az://",
    "http:\\\\",
    "http:/",
    "http:",
    "x",
]
PLAIN = st.text(st.characters(exclude_characters="@", exclude_categories=["Cs"]), max_size=8)
URLISH = st.builds(
    "".join,
    st.tuples(
        st.sampled_from([*SCHEMES, ""]),
        st.lists(
            st.sampled_from([*"/\\?#@:[];%=.a1éü\u2100\n\0\udc80", "99999", "%3f"])
            | st.text(max_size=3),
            max_size=8,
        ).map("".join),
    ),
)


def _tried(call, *arguments):
    try:
        return call(*arguments)
    except UsageError:
        return None


@given(URLISH, URLISH)
@example("http://h/", "//[")
@example("", "http://a:\udc80@h/")
@example("http://[::1", "http://h/\udc80")
def test_any_text_as_a_url_is_read_or_refused_with_our_error(base, text):
    for call in (parsed, canonical, located, Origin.of, shown, unsigned, name_of, is_bundled):
        _tried(call, text)
    _tried(origin_of, StacApi(text))
    _tried(joined, base, text)
    _tried(hosts_of, [text])
    with suppress(Refused):
        _tried(next_hop, "https://a.example/x", text, {})
    assert shown(text).isprintable()


@given(URLISH)
def test_a_url_that_was_read_once_is_read_alike_again(text):
    text = f"http://a{text}"
    url = _tried(canonical, text)
    if url is None:
        return
    assert canonical(url) == url
    assert located(url) == (url, Origin.of(text))
    assert Origin.of(f"{Origin.of(text)}/") == Origin.of(text)


@pytest.mark.parametrize("url", BAD)
def test_brackets_and_ports_that_are_none_are_refused_also_in_plain_looking_urls(url):
    for call in (canonical, located, Origin.of):
        with pytest.raises(UsageError):
            call(url)
    with pytest.raises(UsageError, match="is no URL"):
        joined("http://a.example/", url)


@given(
    st.sampled_from(SCHEMES[:-1]),
    PLAIN,
    PLAIN,
    st.sampled_from(["h", "h:80", "h:port", "h:99999", "[::1]", "[bad", ""]),
    st.sampled_from(["/x", "", "\\x", "/a;b/c"]),
    st.sampled_from(["?SECRET", "#SECRET", "?sig=SECRET#SECRET", "?a=b@c", "", ";sig=SECRET"]),
)
@example("http://", "u", "p?", "h", "/x", "")
@example("http://", "u", "p/", "h", "/x", "")
def test_no_user_query_or_fragment_is_shown(scheme, user, word, host, path, end):
    user = re.sub(r"[/?#\\:]", "", user)
    text = f"{scheme}{user}:SECRET{word}@{host}{path}{end}"
    assert "SECRET" not in shown(text)
    if scheme != "http:" and not set("/?#") & set(word):
        assert "SECRET" not in shown(f"{scheme}SECRET{word}@{host}{path}{end}")
    for call in (canonical, Origin.of):
        with pytest.raises(UsageError) as error:
            call(text)
        assert "SECRET" not in str(error.value)
        assert error.value.__suppress_context__ or error.value.__context__ is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x?sig=SECRET", "x?…"),
        ("../y#SECRET", "../y"),
        ("data:x?sig=SECRET", "data:x?…"),
        ("http://u:SEC/RET@h/x", "http://u:…"),
        (r"http:\\u:SECRET@h\x", r"http:\\h\x"),
        ("https://a/b/c%3Fsig%3DSECRET", "https://a/b/c…"),
        ("https://a/b/c;sig=SECRET", "https://a/b/c…"),
        ("http://h/a@2x.png", "http://h/a@2x.png"),
        ("http://h/a#b", "http://h/a"),
        ("./a@2x.png", "./a@2x.png"),
        ("http://h/why%3F.tif", "http://h/why%3F.tif"),
        ("http://h/a\nb\x1b[0m", "http://h/ab\\x1b[0m"),
    ],
)
def test_what_may_be_secret_is_left_out_and_the_rest_told(text, told):
    assert shown(text) == told


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("http://user:SECRET@host/x", "http://host/x"),
        ("//user:SECRET@host/x", "//host/x"),
        ("x?sig=SECRET", "x"),
        ("x#token=SECRET", "x"),
        ("https://h/x?password=SECRET&band=2#there", "https://h/x?band=2#there"),
        ("https://h/x?band=2&passwd=SECRET;pwd=SECRET", "https://h/x?band=2"),
        ("https://h/x?subscription-key=SECRET&client_secret=SECRET&key=SECRET", "https://h/x"),
        ("https://h/x?authToken=SECRET&a=1;b=2", "https://h/x?a=1;b=2"),
        ("https://h/x;token=SECRET/y?", "https://h/x/y?"),
        ("abfs://c:SECRET@a.dfs.core.windows.net/x", "abfs://a.dfs.core.windows.net/x"),
    ],
)
def test_users_and_what_is_named_like_a_secret_are_taken_out_of_an_address(url, kept):
    assert unsigned(url) == kept


@pytest.mark.parametrize(
    "url",
    [
        "abfs://c@a.dfs.core.windows.net/x",
        "mailto:somebody@a.example",
        "https://h/x@2x.png?asset_key=red&pass=ascending#token",
        "images//x@2x.png",
        "https://h/x?#",
    ],
)
def test_other_addresses_stay_as_they_are(url):
    assert unsigned(url) == url


@pytest.mark.parametrize(
    "text",
    ["http://x", "http://[bad/x", "h/x", "u:SECRET@h", "", "*", "h:port", "10.0.0.0/8", "[::1"],
)
def test_what_is_no_host_cannot_be_allowed(text):
    with pytest.raises(UsageError, match="a host is a name or an address") as error:
        hosts_of([text])
    assert "SECRET" not in str(error.value)


@pytest.mark.parametrize("text", ["::1", "[::1]", "[::1]:80", "::1:80"])
def test_an_address_of_ipv6_is_allowed_however_it_is_written(text):
    assert AddressRule(None, [text]).allows(Origin.of("http://[::1]/"), "::1")


def test_the_hosts_that_are_written_for_a_port_are_taken():
    full = Origin.of("http://[2001:db8:1:2:3:4:5:6]:8080/")
    for host in ("a.example:80", "A_b.example", "10.0.0.1", f"{full.host}:{full.port}"):
        assert hosts_of([host]) == (host,)


@pytest.mark.parametrize(
    "text", [r"http:\\u:SECRET@h\x", "http:u:SECRET@h/x", "HTTP:/u:SECRET@h/x", r"\\u:SECRET@h/x"]
)
def test_what_parsers_read_as_different_hosts_is_joined_to_none(text):
    with pytest.raises(UsageError, match="is no URL") as error:
        joined("http://a.example/b", text)
    assert "SECRET" not in str(error.value)
