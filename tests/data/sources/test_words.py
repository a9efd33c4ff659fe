"""The small parts: patterns, addresses, robots, pointers, the spool, cursors."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from craton.core.errors import InvalidRequest
from craton.data.sources.globs import Globs
from craton.data.sources.pointers import find
from craton.data.sources.records import as_metadata, render
from craton.data.sources.robots import read_robots
from craton.data.sources.spool import Spool
from craton.data.sources.urls import Scope, Traps, normal
from craton.data.sources.visits import Visit, pack, unpack


@pytest.mark.parametrize(
    ("pattern", "inside", "outside"),
    [
        ("*.md", ["a.md", "x/y/a.md"], ["a.txt", "a.md/b"]),
        ("x/*", ["x/a"], ["x/a/b", "a", "y/x/a"]),
        ("x/**", ["x/a", "x/a/b"], ["xa/b"]),
        ("/a", ["a"], ["b/a"]),
        ("**/t/*.py", ["t/a.py", "a/b/t/c.py"], ["t/a/b.py", "at/a.py"]),
        ("a/**/b", ["a/b", "a/x/y/b"], ["a/x/y/c", "b"]),
        ("[ab]?.txt", ["a1.txt", "z/b2.txt"], ["c1.txt", "a.txt"]),
    ],
)
def test_a_pattern_takes_what_it_names(pattern: str, inside: list[str], outside: list[str]) -> None:
    globs = Globs([pattern])
    assert [key for key in inside if not globs.admits(key)] == []
    assert [key for key in outside if globs.admits(key)] == []
    assert not any(Globs(exclude=[pattern]).admits(key) for key in inside)


def test_no_pattern_takes_long() -> None:
    began = time.perf_counter()
    assert not Globs(["*a" * 200 + "b"]).admits("a" * 1024)
    assert not Globs(["/".join(["**", "a"] * 200)]).admits("/".join("b" * 500))
    rules = b"user-agent: *\n" + b"disallow: /" + b"*a" * 500 + b"b$\ndisallow: /" + b"*a" * 500 + b"c\n"
    assert read_robots(rules, "craton").allows("http://a.test/" + "a" * 2000)
    assert time.perf_counter() - began < 5.0


@pytest.mark.parametrize(
    ("given_", "wanted"),
    [
        ("HTTP://Example.COM:80/a/../b/./c#x", "http://example.com/b/c"),
        ("https://example.com:443", "https://example.com/"),
        ("https://example.com:8443/", "https://example.com:8443/"),
        ("http://a.test/?b=2&a=1&utm_source=x&a=0", "http://a.test/?a=0&a=1&b=2"),
        ("http://a.test/%7euser/%2fx/ü", "http://a.test/~user/%2Fx/%C3%BC"),
        ("http://user:pass@a.test/", "http://a.test/"),
        ("http://bücher.test/", "http://xn--bcher-kva.test/"),
        ("http://[::1]:80/x", "http://[::1]/x"),
        ("http://a.test/../../etc/", "http://a.test/etc/"),
        ("ftp://a.test/", ""),
        ("javascript:alert(1)", ""),
        ("http://", ""),
        ("http://[", ""),
        ("http://a.test:99999/", ""),
        ("http://a.test/" + "x" * 3000, ""),
    ],
)
def test_an_address_has_one_spelling(given_: str, wanted: str) -> None:
    assert normal(given_) == wanted


@given(st.text(alphabet=st.sampled_from("abc/.%27E?&=# ü:@[]"), max_size=40))
def test_the_normal_spelling_is_its_own(rest: str) -> None:
    once = normal("http://a.test/" + rest)
    assert once == "" or normal(once) == once


def test_scopes() -> None:
    seeds = ["https://docs.test/guide/index.html"]
    assert Scope(seeds, "default").admits("http://docs.test/guide/a")
    assert not Scope(seeds, "default").admits("https://docs.test/guides")
    assert Scope(["https://docs.test/guide"], "default").admits("https://docs.test/guide")
    assert not Scope(["https://docs.test/guide"], "default").admits("https://docs.test/guide2")
    assert Scope(seeds, "host_only").admits("https://docs.test/")
    assert not Scope(seeds, "host_only").admits("https://a.docs.test/")
    assert Scope(["https://www.docs.test/"], "subdomains").admits("https://a.docs.test/")
    assert not Scope(seeds, "subdomains").admits("https://evildocs.test/")
    assert not Scope(seeds, "subdomains").admits("https://docs.test.evil/")
    assert not Scope(seeds, "host_only").admits("https://docs.test:8443/")


def test_traps() -> None:
    traps = Traps()
    assert traps.catches("http://a.test/a/b/a/b/a/b/a/b")
    assert not traps.catches("http://a.test/a/b/a/b")
    assert sum(not traps.catches(f"http://a.test/cal?day={day}") for day in range(1000)) == 200


def test_robots_groups_and_the_longest_match() -> None:
    text = b"""\xef\xbb\xbf# hello
User-agent: other
User-agent: CRATON
Disallow: /
Allow: /public/*.html$
Crawl-delay: 2.5
Sitemap: http://a.test/map.xml

User-agent: *
Disallow: /nothing
"""
    robots = read_robots(text, "craton")
    assert (robots.delay, robots.sitemaps) == (2.5, ("http://a.test/map.xml",))
    assert robots.allows("http://a.test/public/x/a.html")
    assert not robots.allows("http://a.test/public/a.html?x")
    assert robots.allows("http://a.test/robots.txt")
    other = read_robots(text, "someone")
    assert [other.allows(url) for url in ("http://a.test/", "http://a.test/%6eothing")] == [True, False]
    assert read_robots(b"\0\xff" * 1000 + b"disallow: /", "craton").allows("http://a.test/")
    assert read_robots(b"user-agent: *\ndisallow:\n", "craton").allows("http://a.test/")


def test_pointers() -> None:
    document = {"a/b": {"m~n": [1, {"": 2}]}, "": 3}
    assert find(document, "") is document
    assert find(document, "/a~1b/m~0n/1/") == 2
    assert find(document, "/") == 3
    assert [find(document, pointer) for pointer in ("/x", "/a~1b/m~0n/9", "/a~1b/m~0n/-1", "//x")] == [None] * 4


def test_rendering_replaces_once() -> None:
    assert render({"a": "{b}", "b": "secret"}, (), "{a} {c}") == "{b} "
    assert render({"a": None, "b": 2, "c": ["x", "y"]}, ("a", "b", "c")) == "b: 2\nc: x, y"
    assert as_metadata(10**400) is None
    assert as_metadata(float("nan")) is None


def test_the_spool_keeps_the_order_and_its_bound() -> None:
    spool = Spool(10)
    arriving = [("b", b"1234"), ("a", b"5678"), ("b", b"9"), ("c", b"12345")]
    assert [spool.put(key, value) for key, value in arriving] == [True, True, True, False]
    assert [*spool.items()] == [("b", b"9"), ("a", b"5678")]
    assert (spool.get("c"), "a" in spool) == (None, True)
    spool.clear()
    assert [*spool.items()] == []
    spool.close()


@given(
    st.dictionaries(
        st.text(max_size=8),
        st.builds(Visit, st.text(), st.text(), st.text(), st.lists(st.text(max_size=3)).map(tuple), st.text()),
        max_size=5,
    )
)
def test_what_a_crawl_knew_comes_back(visits: dict[str, Visit]) -> None:
    assert unpack(pack(visits, whole=True)).by_url == visits
    assert not unpack(pack(visits, whole=False)).whole


@given(st.text())
def test_a_strange_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidRequest):
        unpack(cursor)
