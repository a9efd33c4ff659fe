"""What a crawl needs of a page: its links, its canonical address, what it asks of crawlers; and a sitemap's addresses.

lxml is imported here alone and late: only the process of an ingestion reads pages.
"""

from __future__ import annotations

import re
from io import BytesIO

from msgspec import Struct

from craton.core.errors import TooLarge
from craton.data.sources.http import Gunzip
from craton.data.sources.urls import normal

MAX_PAGE = 10 * 1024 * 1024  # bytes
MAX_LINKS = 5000
_BASE_TAGS = ("a", "area", "link", "base", "meta")


class PageLinks(Struct, frozen=True):
    """Normal addresses, in the order of the page. hidden: the page asks not to be indexed."""

    links: tuple[str, ...] = ()
    canonical: str = ""
    hidden: bool = False


def read_links(data: bytes, url: str, content_type: str) -> PageLinks:
    """data: HTML, at most MAX_PAGE bytes. What cannot be read has no links."""
    from lxml import etree

    charset = re.search(r"charset\s*=\s*\"?([\w.:-]{1,40})", content_type, re.IGNORECASE)
    try:
        parser = etree.HTMLPullParser(
            events=("start",),
            tag=_BASE_TAGS,
            encoding=charset[1] if charset else None,
            no_network=True,
            huge_tree=False,
            recover=True,
            remove_comments=True,
        )
    except LookupError:  # a charset that does not exist
        return read_links(data, url, "")
    found: dict[str, None] = {}
    base, canonical, follow, hidden = url, "", True, False
    try:
        parser.feed(data[:MAX_PAGE])
        for _, element in parser.read_events():
            kind = (element.get("rel") or "").lower().split()
            target = element.get("href") or ""
            if element.tag == "base" and target:
                base = normal(target, url) or base
            elif element.tag == "meta" and (element.get("name") or "").lower() == "robots":
                said = (element.get("content") or "").lower()
                hidden = hidden or "noindex" in said or "none" in said
                follow = follow and "nofollow" not in said and "none" not in said
            elif element.tag == "link" and "canonical" in kind and target and not canonical:
                canonical = normal(target, base)
            elif element.tag in {"a", "area"} and target and "nofollow" not in kind and len(found) < MAX_LINKS:
                found[normal(target, base)] = None
    except etree.LxmlError:  # what was read so far counts
        pass
    found.pop("", None)
    return PageLinks(tuple(found) if follow else (), canonical, hidden)


def read_sitemap(data: bytes, url: str, limit: int) -> tuple[list[str], list[str]]:
    """The pages and the further sitemaps that it names, at most `limit` together. data: XML, or gzip of it.

    Entities are not expanded and nothing is loaded. What cannot be read names nothing.
    """
    from lxml import etree

    if data.startswith(b"\x1f\x8b"):
        data = _unpacked(data)
    pages: list[str] = []
    sitemaps: list[str] = []
    try:
        for _, element in etree.iterparse(
            BytesIO(data), events=("end",), tag="{*}loc", resolve_entities=False, no_network=True, load_dtd=False
        ):
            parent = element.getparent()
            kind = "" if parent is None else etree.QName(parent).localname
            address = normal((element.text or "").strip(), url)
            if address and kind in {"url", "sitemap"}:
                (pages if kind == "url" else sitemaps).append(address)
            if parent is not None:
                parent.clear()
            if len(pages) + len(sitemaps) >= limit:
                break
    except etree.LxmlError:
        pass
    return pages, sitemaps


def _unpacked(data: bytes) -> bytes:
    """Raises TooLarge."""
    unpacked = b""
    for piece in Gunzip().feed(data):
        unpacked += piece
        if len(unpacked) > MAX_PAGE:
            raise TooLarge("A sitemap", MAX_PAGE)
    return unpacked
