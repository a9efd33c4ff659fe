"""A web site: pages are found by their links and by the sitemaps that robots.txt names.

Every request goes through the given client, robots.txt is kept to, and each redirect is a new address that has to be
admitted like any other. A page that fails is listed, so that it fails alone (or stays as it was), and is never taken
for gone; a site that fails as a whole raises.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from craton.core.errors import NotFound, OutgoingRefused, SourceFailed, TooLarge
from craton.core.knowledge import Location
from craton.core.streams import closing
from craton.data.documents import Fetched, Item
from craton.data.sources.files import Writing, save
from craton.data.sources.filters import Filters
from craton.data.sources.frontier import Frontier, Step
from craton.data.sources.hosts import Hosts
from craton.data.sources.http import REDIRECTS, Http, Reply, place, refuse_status
from craton.data.sources.links import MAX_PAGE, read_links, read_sitemap
from craton.data.sources.options import WebOptions
from craton.data.sources.records import digest
from craton.data.sources.spool import Spool
from craton.data.sources.urls import Scope, normal, origin
from craton.data.sources.visits import Visit, Visits, pack, unpack

SPOOL = 256 * 1024 * 1024  # bytes of pages kept between listing and fetching; the others are asked for again
MAX_SITEMAPS = 50
MAX_FAILURES = 20  # pages in a row
MAX_KEPT_LINKS = 5_000_000  # of all pages together, for the cursor
HTML = frozenset({"text/html", "application/xhtml+xml"})
_OFFICE = "application/vnd.openxmlformats-officedocument."
READABLE = HTML | {
    "text/plain",
    "text/markdown",
    "text/csv",
    "text/tab-separated-values",
    "text/xml",
    "application/xml",
    "application/json",
    "application/pdf",
    "application/msword",
    "application/vnd.ms-excel",
    f"{_OFFICE}wordprocessingml.document",
    f"{_OFFICE}spreadsheetml.sheet",
    f"{_OFFICE}presentationml.presentation",
}


class _Found(Struct, frozen=True):
    """What a visit to an address came to. target: of a redirect."""

    how: str  # "page", "gone", "moved", "unreadable" (no document for us)
    visit: Visit = Visit("")
    target: str = ""


class WebSource:
    """Keys are addresses in their normal spelling. etag: digest of a page; of other files, what the server says."""

    incremental = False

    def __init__(self, http: Http, hosts: Hosts, options: WebOptions) -> None:
        """Raises InvalidRequest for a filter that is no expression."""
        self._http, self._hosts, self._options = http, hosts, options
        self._seeds = [normal(seed) for seed in options.seeds]
        self._scope = Scope(self._seeds, options.scope)
        self._origins = {origin(seed) for seed in self._seeds}
        self._filters = Filters(options.include, options.exclude)
        self._spool = Spool(SPOOL)
        self._cursor: str | None = None

    # --- listing ------------------------------------------------------------------------------------------------

    async def list(self, cursor: str | None) -> AsyncIterator[Item]:
        before = unpack(cursor)
        self._spool.clear()
        frontier = Frontier(self._wanted, self._options.max_depth, self._options.max_pages)
        for seed in self._seeds:
            frontier.seed(seed)
        for place_ in sorted(self._origins):
            frontier.link(await self._sitemaps(place_), 0)
        listed = 0
        crawl = _Crawl(self, before, frontier)
        async with closing(crawl.items()) as items:
            async for item in items:
                yield item
                listed += 1
                if listed == self._options.max_pages:
                    break
        if listed == 0:
            raise SourceFailed(place(self._seeds[0]), "no page of it could be read")
        self._cursor = crawl.cursor()

    def cursor(self) -> str | None:
        return self._cursor

    def _wanted(self, url: str) -> bool:
        return self._scope.admits(url) and self._filters.admits(url)

    def lists(self, url: str) -> bool:
        """Whether a page may be a document: a seed is read for its links whatever the filters say."""
        return self._filters.admits(url)

    async def _sitemaps(self, place_: str) -> list_of_text:
        robots = await self._hosts.robots(place_ + "/")
        waiting = [normal(url, place_) for url in robots.sitemaps]
        seen: set[str] = set()
        pages: dict[str, None] = {}
        room = 4 * self._options.max_pages
        while waiting and len(seen) < MAX_SITEMAPS and len(pages) < room:
            url = waiting.pop(0)
            if not url or url in seen or origin(url) not in self._origins:
                continue
            seen.add(url)
            await self._hosts.turn(url)
            reply = await self._http.get(url, limit=MAX_PAGE)
            if reply.status not in {200, 404, 410}:
                raise refuse_status(reply)
            found, further = read_sitemap(reply.body, url, room)
            pages.update(dict.fromkeys(found))
            waiting.extend(further)
        return [*pages]

    async def visit(self, step: Step, known: Visit | None) -> _Found:
        """Raises CratonError when the page cannot be had now."""
        if not await self._hosts.admits(step.url):
            return _Found("gone")
        await self._hosts.turn(step.url)
        reply = await self._http.get(
            step.url, limit=MAX_PAGE, headers=_conditions(known), wants=lambda reply: _type(reply) in HTML, redirects=0
        )
        if reply.status == 304 and known is not None:
            return _Found("page", known)
        if reply.status in {404, 410}:
            return _Found("gone")
        if reply.status in REDIRECTS:
            return _Found("moved", target=normal(reply.headers.get("location", ""), step.url))
        if reply.status != 200:
            raise refuse_status(reply)
        kind = _type(reply)
        if kind not in READABLE:
            return _Found("unreadable")
        if kind not in HTML:
            stated = reply.headers.get("etag", "") or reply.headers.get("last-modified", "")
            return _Found("page", Visit(stated and digest(stated.encode()), *_validators(reply)))
        content_type = reply.headers.get("content-type", "")
        self._spool.put(step.url, content_type.encode("latin-1", "replace")[:200] + b"\n" + reply.body)
        page = read_links(reply.body, step.url, content_type)
        links = tuple(link for link in page.links if self._scope.admits(link))
        return _Found("page", Visit(digest(reply.body), *_validators(reply), links, page.canonical, page.hidden))

    def is_home(self, url: str) -> bool:
        """Whether the address is on a host that the crawl began with."""
        return origin(url) in self._origins

    async def allows(self, url: str) -> bool:
        return self._wanted(url) and self.is_home(url) and await self._hosts.admits(url)

    # --- fetching -----------------------------------------------------------------------------------------------

    async def fetch(self, item: Item, folder: Path, limit: int) -> Fetched:
        what = f"The page {item.key!r}"
        name = unquote(urlsplit(item.key).path.rpartition("/")[2]) or "index.html"
        kept = self._spool.get(item.key)
        if kept is not None:
            media_type, _, body = kept.partition(b"\n")
            path = save(folder, body, what, limit)
            return Fetched(path, Location("web", item.key), name, media_type.decode("latin-1"))
        if not self._scope.admits(item.key) or not await self._hosts.admits(item.key):
            raise NotFound("page", item.key[:200])
        await self._hosts.turn(item.key)
        with Writing(folder, what, limit) as file:
            reply = await self._http.get(
                item.key, limit=limit, sink=file, check=self._check, seconds=self._http.patience.document
            )
            if reply.status in {404, 410}:
                raise NotFound("page", item.key[:200])
            if reply.status != 200:
                raise refuse_status(reply)
        return Fetched(file.path, Location("web", item.key), name, reply.headers.get("content-type", ""))

    def _check(self, url: str) -> None:
        if not self._scope.admits(normal(url)):
            raise OutgoingRefused(urlsplit(url).hostname or "", "It lies outside the scope of the crawl.")

    async def close(self) -> None:
        self._spool.close()


class _Crawl:
    """One walk over a site."""

    def __init__(self, source: WebSource, before: Visits, frontier: Frontier) -> None:
        self._source, self._before, self._frontier = source, before, frontier
        self._visits: dict[str, Visit] = {}
        self._kept_links = 0
        self._aliases: dict[str, Item] = {}  # by the canonical address that stands for it
        self._skipped: set[str] = set()
        self._failures = 0

    def cursor(self) -> str:
        return pack(self._visits, whole=self._kept_links <= MAX_KEPT_LINKS)

    async def items(self) -> AsyncIterator[Item]:
        while (step := self._frontier.next()) is not None:
            known = self._before.by_url.get(step.url)
            try:
                found = await self._source.visit(step, known)
            except TooLarge:
                yield Item(step.url)  # fetching it says how large it is
                continue
            except OutgoingRefused:
                if self._source.is_home(step.url):
                    raise
                continue
            except SourceFailed as error:
                self._count_failure(step, known, error)
                found = _Found("page", known) if known is not None else _Found("failed")
            else:
                self._failures = 0
            item = await self._take(step, found)
            if item is not None:
                yield item

    def _count_failure(self, step: Step, known: Visit | None, error: SourceFailed) -> None:
        """Raises when going on could take pages for gone that only cannot be reached now."""
        self._failures += 1
        unknown = known is None and not self._before.whole
        if step.seed or unknown or self._failures > MAX_FAILURES:
            raise error

    async def _take(self, step: Step, found: _Found) -> Item | None:
        if found.how == "failed":
            return Item(step.url)
        if found.how == "moved":
            followed = bool(found.target) and self._frontier.redirect(step, found.target)
            if step.seed and not followed:
                raise SourceFailed(place(step.url), "the seed redirects out of the scope, or without end")
            return None
        if found.how == "gone":
            return self._aliases.pop(step.url, None)
        if found.how == "unreadable":
            return None
        visit = found.visit
        self._keep(step.url, visit)
        self._frontier.link(visit.links, step.depth + 1)
        if visit.hidden or not self._source.lists(step.url):
            return None
        item = Item(step.url, visit.etag)
        if await self._stands_for(visit.canonical, step.url):
            self._skipped.add(step.url)
            self._aliases.setdefault(visit.canonical, item)
            self._frontier.link([visit.canonical], step.depth)
            return None
        return item

    async def _stands_for(self, canonical: str, url: str) -> bool:
        """Whether the page at `canonical` is listed in place of this one; of two that name each other, one is."""
        if canonical in {"", url} or canonical in self._skipped:
            return False
        return await self._source.allows(canonical)

    def _keep(self, url: str, visit: Visit) -> None:
        self._kept_links += len(visit.links)
        if self._kept_links > MAX_KEPT_LINKS:
            self._visits.clear()
            return
        links = tuple(self._frontier.name(link) for link in visit.links)
        self._visits[url] = Visit(visit.etag, visit.validator, visit.modified, links, visit.canonical, visit.hidden)


list_of_text = list[str]
"""`list` is a method's name inside the class."""


def _conditions(known: Visit | None) -> Mapping[str, str]:
    if known is None or not (known.validator or known.modified):
        return {}
    if known.validator:
        return {"if-none-match": known.validator}
    return {"if-modified-since": known.modified}


def _validators(reply: Reply) -> tuple[str, str]:
    return reply.headers.get("etag", "")[:1024], reply.headers.get("last-modified", "")[:128]


def _type(reply: Reply) -> str:
    """text/html for a page without a type: what such a page is, its bytes tell its parser."""
    return reply.headers.get("content-type", "text/html").partition(";")[0].strip().lower()
