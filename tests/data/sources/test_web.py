"""Crawls of a real local site: scope, politeness, traps, and what is not asked for twice."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from craton.core.errors import InvalidRequest, NotFound, OutgoingRefused, TooLarge
from craton.core.knowledge import SourceSpec
from craton.data.documents import Item, Source
from craton.data.sources import SourceFailed
from craton.data.sources.hosts import Hosts
from craton.data.sources.http import Http
from tests.data.sources.conftest import QUICK, keys, listed
from tests.data.sources.sites import Asked, Page, Site, redirect

pytestmark = pytest.mark.anyio

Open = Callable[[SourceSpec], Awaitable[Source]]


def crawl(site: Site, *seeds: str, **options: object) -> SourceSpec:
    return SourceSpec("web", {"seeds": [site.url + seed for seed in seeds or ("/",)], **options})


async def paths(site: Site, source: Source, cursor: str | None = None) -> list[str]:
    return [key.removeprefix(site.url) for key in await keys(source, cursor)]


async def test_links_are_followed_within_the_scope(web: Site, opened: Open) -> None:
    web.html("/docs/", "a", "../outside", "/docs/b?x=1#part", "http://elsewhere.test/", "mailto:a@b", "javascript:x()")
    web.html("/docs/a", "/docs/", "./c/", "b?x=1")
    web.html("/docs/b?x=1")
    web.html("/docs/c/", "//127.0.0.1:1/docs/d")
    web.html("/outside", "/docs/a")
    assert await paths(web, await opened(crawl(web, "/docs/"))) == ["/docs/", "/docs/a", "/docs/b?x=1", "/docs/c/"]
    assert "/outside" in await paths(web, await opened(crawl(web, "/docs/", scope="host_only")))
    assert await paths(web, await opened(crawl(web, "/docs/", max_depth=1))) == ["/docs/", "/docs/a", "/docs/b?x=1"]
    assert len(await paths(web, await opened(crawl(web, "/docs/", max_pages=2)))) == 2


async def test_filters_choose_pages(web: Site, opened: Open) -> None:
    web.html("/", "/a.html", "/b.html", "/private/c.html")
    for page in ("/a.html", "/b.html", "/private/c.html"):
        web.html(page)
    assert await paths(web, await opened(crawl(web, include=[r"\.html$"], exclude=["/private/"]))) == [
        "/a.html",
        "/b.html",
    ]


async def test_robots_are_kept_to(web: Site, opened: Open) -> None:
    robots = "User-agent: *\nDisallow: /no\nAllow: /no/but\nDisallow: /*?print=\nDisallow: /*.zip$\nCrawl-delay: 1\n"
    web.pages["/robots.txt"] = Page(robots.encode())
    web.html("/", "/no/a", "/no/but/b", "/c?print=1", "/c", "/d.zip")
    for page in ("/no/a", "/no/but/b", "/c?print=1", "/c", "/d.zip"):
        web.html(page)
    assert await paths(web, await opened(crawl(web))) == ["/", "/c", "/no/but/b"]
    assert "/no/a" not in web.targets
    assert all(asked.headers["user-agent"] == "craton" for asked in web.asked)


async def test_a_host_that_does_not_give_its_robots_is_not_crawled(web: Site, opened: Open) -> None:
    web.html("/")
    web.pages["/robots.txt"] = Page(b"", "500 Oops")
    with pytest.raises(SourceFailed):
        await listed(await opened(crawl(web)))
    assert "/" not in web.targets


async def test_sitemaps_are_read(web: Site, opened: Open) -> None:
    web.pages["/robots.txt"] = Page(f"Sitemap: {web.url}/index.xml\n".encode())
    web.pages["/index.xml"] = Page(
        f"<sitemapindex><sitemap><loc>{web.url}/one.xml.gz</loc></sitemap></sitemapindex>".encode()
    )
    space = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'
    urls = f"<urlset {space}><url><loc>{web.url}/hidden</loc></url><url><loc>http://else.test/</loc></url></urlset>"
    web.pages["/one.xml.gz"] = Page(gzip.compress(urls.encode()))
    web.html("/")
    web.html("/hidden")
    assert await paths(web, await opened(crawl(web))) == ["/", "/hidden"]


async def test_a_sitemap_expands_no_entities_and_loads_nothing(web: Site, opened: Open, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("/leaked")
    bomb = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "x" * 10}">' for n in range(12))
    for attack in (f'<!ENTITY x SYSTEM "file://{tmp_path}/secret">', f"{bomb}<!ENTITY x '&e11;'>"):
        xml = f"<!DOCTYPE u [{attack}]><urlset><url><loc>{web.url}/&x;</loc></url></urlset>"
        web.pages["/robots.txt"] = Page(f"Sitemap: {web.url}/map.xml\n".encode())
        web.pages["/map.xml"] = Page(xml.encode())
        web.html("/")
        assert await paths(web, await opened(crawl(web))) == ["/"]
    assert "/leaked" not in web.targets


async def test_one_page_has_one_address(web: Site, opened: Open) -> None:
    web.html("/", "/a?b=2&a=1&utm_source=x", "/a?a=1&b=2#top", "/x/../a?a=1&b=2", "/%7Ec", "/~c", f"{web.url}/")
    web.html("/a?a=1&b=2")
    web.html("/~c")
    web.html("/print", head='<link rel="canonical" href="/~c">')
    web.html("/", "/print", "/a?b=2&a=1&utm_source=x", "/a?a=1&b=2#top", "/x/../a?a=1&b=2", "/%7Ec", "/~c")
    assert await paths(web, await opened(crawl(web))) == ["/", "/a?a=1&b=2", "/~c"]
    assert web.targets.count("/~c") == 1


async def test_canonical_addresses_lose_no_page(web: Site, opened: Open) -> None:
    web.html("/", "/a", "/b", "/c")
    web.html("/a", head='<link rel="canonical" href="/b">')
    web.html("/b", head='<link rel="canonical" href="/a">')
    web.html("/c", head='<link rel="canonical" href="/absent">')
    found = await paths(web, await opened(crawl(web)))
    assert found in (["/", "/a", "/c"], ["/", "/b", "/c"])


async def test_a_site_that_never_ends_is_left(web: Site, opened: Open) -> None:
    def more(asked: Asked) -> Page:
        target = asked.target
        links = [f"{target}next/", f"/cal?month={len(web.asked)}", f"{target}deeper/{len(web.asked)}/", "/x" * 2000]
        return Page("".join(f'<a href="{link}">x</a>' for link in links).encode())

    web.pages["/robots.txt"] = Page(b"")
    web.answer = more
    assert len(await paths(web, await opened(crawl(web, max_pages=100)))) == 100
    web.asked.clear()
    web.answer = lambda asked: Page(f'<a href="/cal?month={len(web.asked)}">x</a>'.encode())
    found = await paths(web, await opened(crawl(web, max_depth=1000)))
    assert len(found) < 300
    web.answer = lambda asked: Page(b'<a href="a/b/">x</a>')
    assert len(await paths(web, await opened(crawl(web)))) < 10


async def test_redirects_are_addresses_like_any_other(web: Site, opened: Open) -> None:
    web.html("/", "/moved", "/out", "/file", "/meta", "/loop", "/forever0", "/inner", "/bad")
    web.pages["/moved"] = redirect("/new")
    web.html("/new")
    web.pages["/out"] = redirect("http://elsewhere.test/")
    web.pages["/file"] = redirect("file:///etc/passwd")
    web.pages["/meta"] = redirect("http://169.254.169.254/latest/meta-data/")
    web.pages["/loop"] = redirect("/loop")
    web.pages["/inner"] = redirect(f"http://127.0.0.1:{web.port + 1}/")
    web.pages["/bad"] = redirect("http://[")
    for number in range(50):
        web.pages[f"/forever{number}"] = redirect(f"/forever{number + 1}")
    assert await paths(web, await opened(crawl(web))) == ["/", "/new"]
    assert sum("forever" in target for target in web.targets) <= 6


async def test_seeds_lead_nowhere_that_is_not_allowed(web: Site, opened: Open, sources: object) -> None:
    for seed in ("http://169.254.169.254/", "http://127.0.0.1:1/", "http://localhost/", "https://example.com/"):
        with pytest.raises(OutgoingRefused):
            await listed(await opened(SourceSpec("web", {"seeds": [seed]})))
    for seed in ("file:///etc/passwd", "ftp://a.test/", "http://user:pass@a.test/", "http://"):
        with pytest.raises(InvalidRequest):
            await opened(SourceSpec("web", {"seeds": [seed]}))
    web.pages["/"] = redirect("http://elsewhere.test/")
    with pytest.raises(SourceFailed):
        await listed(await opened(crawl(web)))


async def test_a_fetch_stays_in_the_scope(web: Site, opened: Open, tmp_path: Path) -> None:
    web.html("/")
    web.pages["/away"] = redirect("http://169.254.169.254/")
    source = await opened(crawl(web))
    await listed(source)
    for url in (f"{web.url}/away", "http://169.254.169.254/", "file:///etc/passwd"):
        with pytest.raises((OutgoingRefused, NotFound)):
            await source.fetch(Item(url), tmp_path, 100)


async def test_unchanged_pages_are_not_sent_again(web: Site, opened: Open) -> None:
    web.html("/", "/a", "/b")
    tagged = (("content-type", "text/html"), ("etag", '"1"'))

    def answer(asked: Asked) -> Page | None:
        if asked.target not in {"/a", "/b"}:
            return None
        if asked.headers.get("if-none-match") == '"1"':
            return Page(b"", "304 Not Modified", tagged)
        return Page(b'<a href="/c">x</a>' + asked.target.encode(), headers=tagged)

    web.answer = answer
    web.html("/c")
    first = await opened(crawl(web))
    before = await listed(first)
    web.asked.clear()
    second = await opened(crawl(web))
    assert await listed(second, first.cursor()) == before
    assert [asked.headers.get("if-none-match") for asked in web.asked if asked.target in {"/a", "/b"}] == ['"1"'] * 2
    third = await opened(crawl(web))
    assert await listed(third, second.cursor()) == before
    with pytest.raises(InvalidRequest):
        await listed(third, "not a cursor")


async def test_what_is_listed_is_asked_for_once(web: Site, opened: Open, tmp_path: Path) -> None:
    web.html("/", "/a", text="home")
    web.html("/a", text="page")
    source = await opened(crawl(web))
    for item in (await listed(source)).values():
        fetched = await source.fetch(item, tmp_path, 10_000)
        assert fetched.media_type.startswith("text/html")
    assert web.targets.count("/a") == 1


async def test_a_page_that_fails_is_not_gone(web: Site, opened: Open, tmp_path: Path) -> None:
    web.html("/", "/a", "/b")
    web.html("/a", "/behind")
    web.html("/b")
    web.html("/behind")
    first = await opened(crawl(web))
    before = await listed(first)
    web.pages["/a"] = Page(b"", "503 Busy")
    second = await opened(crawl(web))
    assert await listed(second, first.cursor()) == before
    fresh = await opened(crawl(web))
    found = await listed(fresh)
    assert f"{web.url}/a" in found
    with pytest.raises(SourceFailed):
        await fresh.fetch(found[f"{web.url}/a"], tmp_path, 100)
    web.pages["/"] = Page(b"", "500 Oops")
    with pytest.raises(SourceFailed):
        await listed(await opened(crawl(web)), first.cursor())


async def test_a_site_without_a_page_has_not_lost_them_all(web: Site, opened: Open) -> None:
    with pytest.raises(SourceFailed):
        await listed(await opened(crawl(web)))


async def test_files_are_listed_without_being_read(web: Site, opened: Open, tmp_path: Path) -> None:
    web.html("/", "/a.pdf", "/b.zip", "/c.txt")
    web.pages["/a.pdf"] = Page(b"%PDF-1.7", headers=(("content-type", "application/pdf"), ("etag", '"v1"')))
    web.pages["/b.zip"] = Page(b"PK", headers=(("content-type", "application/zip"),))
    web.pages["/c.txt"] = Page(b"plain", headers=(("content-type", "text/plain"),))
    source = await opened(crawl(web))
    found = await listed(source)
    assert sorted(key.removeprefix(web.url) for key in found) == ["/", "/a.pdf", "/c.txt"]
    assert found[f"{web.url}/c.txt"].etag == ""
    fetched = await source.fetch(found[f"{web.url}/a.pdf"], tmp_path, 100)
    assert (fetched.path.read_bytes(), fetched.media_type, fetched.name) == (b"%PDF-1.7", "application/pdf", "a.pdf")


async def endless(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n\r\n")
    for _ in range(2000):  # 2 GB
        writer.write(b"<p>" + b"x" * 1_000_000)
        await writer.drain()


async def promising(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 2000000000\r\n\r\n")
    await writer.drain()


async def dripping(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n\r\n")
    for _ in range(100):
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.3)


async def silent(writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(20)


async def cut(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 100\r\n\r\nabc")


async def bombing(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-encoding: gzip\r\n\r\n" + BOMB)


async def torn(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-encoding: gzip\r\n\r\n" + BOMB[:100])


async def babbling(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/9 what\r\n\r\n")


BOMB = gzip.compress(b"\0" * 100_000_000, compresslevel=9)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (endless, TooLarge),
        (promising, TooLarge),
        (bombing, TooLarge),
        (dripping, SourceFailed),
        (silent, SourceFailed),
        (cut, SourceFailed),
        (torn, SourceFailed),
        (babbling, SourceFailed),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_a_hostile_page_fails_alone(
    web: Site,
    opened: Open,
    tmp_path: Path,
    raw: Callable[[asyncio.StreamWriter], Awaitable[None]],
    error: type[Exception],
) -> None:
    web.html("/", "/evil", "/good")
    web.html("/good", text="fine")
    web.pages["/evil"] = Page(raw=raw)
    source = await opened(crawl(web))
    found = await listed(source)
    assert len(found) == 3
    (tmp_path / "in").mkdir()
    with pytest.raises(error):
        await source.fetch(found[f"{web.url}/evil"], tmp_path / "in", 1_000_000)
    assert list((tmp_path / "in").iterdir()) == []
    assert b"fine" in (await source.fetch(found[f"{web.url}/good"], tmp_path / "in", 1000)).path.read_bytes()


async def test_an_expression_that_never_ends_is_stopped(web: Site, opened: Open) -> None:
    web.html("/", "/" + "a" * 60 + "!")
    with pytest.raises(InvalidRequest):
        await listed(await opened(crawl(web, exclude=["(a|a)*(a|a)*(a|aa)+(a|aa)+b"])))
    for pattern in ("(", "((a{1,100}){1,100}){1,100}", "a" * 1001, "(?:" * 400):
        with pytest.raises(InvalidRequest) as caught:
            await opened(crawl(web, include=[pattern]))
        assert caught.value.field.startswith("options.include")


async def test_a_host_is_not_asked_faster_than_allowed(web: Site, client: object) -> None:
    now = 0.0
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        nonlocal now
        slept.append(seconds)
        now += seconds

    web.pages["/robots.txt"] = Page(b"User-agent: craton\nCrawl-delay: 4\n")
    http = Http(client, "craton", patience=QUICK)  # type: ignore[arg-type]
    hosts = Hosts(http, "craton", 60, clock=lambda: now, sleep=sleep)
    for _ in range(3):
        await hosts.turn("http://other.test/")
    assert slept == [1.0, 1.0]
    await hosts.robots(web.url + "/")
    slept.clear()
    for _ in range(3):
        await hosts.turn(web.url + "/x")
    assert slept == [4.0, 4.0]
