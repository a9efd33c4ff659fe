"""The options of each kind of source: what `SourceSpec.options` may hold. Nothing else is accepted."""

from __future__ import annotations

import re
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from craton.core.chat import Json
from craton.core.errors import InvalidRequest
from craton.core.knowledge import SourceKind

Text = Annotated[str, Meta(min_length=1, max_length=1024)]
Name = Annotated[str, Meta(min_length=1, max_length=128)]
Url = Annotated[str, Meta(min_length=8, max_length=2048)]
Patterns = Annotated[tuple[Text, ...], Meta(max_length=100)]
Filters = Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=1000)], ...], Meta(max_length=25)]
Names = Annotated[tuple[Name, ...], Meta(max_length=100)]
Pointer = Annotated[str, Meta(pattern="^(/[^/]*)*$", max_length=512)]  # RFC 6901
Pointers = Annotated[tuple[Pointer, ...], Meta(max_length=100)]


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """Of one kind of source."""


class FolderOptions(Options, frozen=True):
    """include, exclude: patterns over the path below `path` (see `globs`). follow_links: those that stay inside."""

    path: Annotated[str, Meta(min_length=1, max_length=4096)]
    include: Patterns = ()
    exclude: Patterns = ()
    follow_links: bool = False


class BucketOptions(Options, frozen=True):
    """prefixes: of keys, none for the whole bucket. include, exclude: patterns over whole keys."""

    bucket: Annotated[str, Meta(min_length=3, max_length=63)]
    prefixes: Annotated[tuple[Annotated[str, Meta(max_length=1024)], ...], Meta(max_length=100)] = ()
    include: Patterns = ()
    exclude: Patterns = ()


class WebOptions(Options, frozen=True):
    """scope: "default" the seed's host and what lies below its path, "host_only" all of its host, "subdomains" also the
    hosts below it. rate: requests a minute to one host. include, exclude: regular expressions searched in addresses."""

    seeds: Annotated[tuple[Url, ...], Meta(min_length=1, max_length=100)]
    scope: Literal["default", "host_only", "subdomains"] = "default"
    max_pages: Annotated[int, Meta(ge=1, le=100_000)] = 25_000
    max_depth: Annotated[int, Meta(ge=0, le=1000)] = 50
    rate: Annotated[int, Meta(ge=1, le=6000)] = 300
    include: Filters = ()
    exclude: Filters = ()
    user_agent: Annotated[str, Meta(pattern="^[!-~][ -~]{0,127}$")] = "craton"


class SqlOptions(Options, frozen=True):
    """Either table ("name" or "schema.name") or query (one SELECT). key: columns that name a row, () for the table's
    primary key. text: the columns of
    its text, all of them when there is no template either. template: text with {column}. updated: a column that grows
    with every change; with it listings hold only what changed. deleted: a column that says so (true, or not null)."""

    database: Name
    key: Annotated[tuple[Name, ...], Meta(max_length=16)] = ()
    table: Annotated[str, Meta(max_length=128)] = ""
    query: Annotated[str, Meta(max_length=20_000)] = ""
    title: Annotated[str, Meta(max_length=128)] = ""
    text: Names = ()
    template: Annotated[str, Meta(max_length=20_000)] = ""
    metadata: Names = ()
    updated: Annotated[str, Meta(max_length=128)] = ""
    deleted: Annotated[str, Meta(max_length=128)] = ""
    page_size: Annotated[int, Meta(ge=1, le=10_000)] = 1000
    timeout: Annotated[float, Meta(gt=0, le=3600)] = 120.0


class Pagination(Struct, frozen=True, forbid_unknown_fields=True):
    """How to ask for more.

    none: there is one page. page, offset: `parameter` counts pages from `first`, or items, until a page is empty, or
    has fewer than `size` items when size is set. cursor: `pointer` leads to what `parameter` has to carry. next:
    `pointer` leads to the next page's address. link: the Link header does (rel="next"). size_parameter: carries size.
    """

    kind: Literal["none", "page", "offset", "cursor", "next", "link"] = "none"
    parameter: Annotated[str, Meta(max_length=128)] = ""
    first: Annotated[int, Meta(ge=0)] = 1
    size_parameter: Annotated[str, Meta(max_length=128)] = ""
    size: Annotated[int, Meta(ge=1, le=10_000)] | None = None
    pointer: Pointer = ""


class ApiOptions(Options, frozen=True):
    """items, key, text ...: JSON pointers, items from the top of a page, the others from an item. text: () for all of
    the item. metadata: name -> pointer. etag: a value that changes with the item. updated, with since_parameter: asks
    for what changed since the latest `updated` that was seen. deleted: leads to true for what is gone.

    The spec's credential is sent as `auth_header: auth_prefix + secret`.
    """

    url: Url
    items: Pointer = ""
    key: Pointer = "/id"
    text: Pointers = ()
    title: Pointer = ""
    metadata: Annotated[dict[Name, Pointer], Meta(max_length=100)] = {}
    link: Pointer = ""
    etag: Pointer = ""
    updated: Pointer = ""
    since_parameter: Annotated[str, Meta(max_length=128)] = ""
    deleted: Pointer = ""
    pagination: Pagination = Pagination()
    headers: Annotated[dict[Name, Annotated[str, Meta(pattern="^[ -~]*$", max_length=1024)]], Meta(max_length=20)] = {}
    auth_header: Annotated[str, Meta(pattern="^[A-Za-z0-9-]{1,64}$")] = "authorization"
    auth_prefix: Annotated[str, Meta(pattern="^[ -~]*$", max_length=64)] = "Bearer "
    max_items: Annotated[int, Meta(ge=1, le=10_000_000)] = 1_000_000
    rate: Annotated[int, Meta(ge=1, le=60_000)] = 600


class HubOptions(Options, frozen=True):
    """include, exclude: patterns over paths. rows: each row of a .jsonl, .csv, .tsv or .parquet file is a document,
    named by the columns of key (by its number when there are none); text, title and metadata are columns."""

    repo: Annotated[str, Meta(pattern="^[^/]+/[^/]+$", max_length=200)]
    repo_kind: Literal["dataset", "model", "space"] = "dataset"
    revision: Annotated[str, Meta(min_length=1, max_length=255)] = "main"
    include: Patterns = ()
    exclude: Patterns = ()
    rows: bool = False
    key: Names = ()
    text: Names = ()
    title: Annotated[str, Meta(max_length=128)] = ""
    metadata: Names = ()


class DirectOptions(Options, frozen=True):
    """None: the documents are handed in."""


KINDS: dict[SourceKind, type[Options]] = {
    "folder": FolderOptions,
    "bucket": BucketOptions,
    "web": WebOptions,
    "sql": SqlOptions,
    "api": ApiOptions,
    "hub": HubOptions,
    "direct": DirectOptions,
}
Kind = TypeVar("Kind", bound=Options)
_AT = re.compile(r"^(?P<reason>.*?)(?: - at `\$\.?(?P<field>[^`]*)`)?$", re.DOTALL)
_UNKNOWN = re.compile(r"unknown field `(?P<field>[^`]*)`")


def read_options(given: Json, kind: type[Kind]) -> Kind:
    """Raises InvalidRequest naming the option."""
    try:
        return msgspec.convert(given, kind)
    except msgspec.ValidationError as error:
        found = _AT.match(str(error))
        reason, field = (found["reason"], found["field"] or "") if found else (str(error), "")
        unknown = _UNKNOWN.search(reason)
        if unknown:
            field = f"{field}.{unknown['field']}" if field else unknown["field"]
        raise InvalidRequest(reason, f"options.{field}" if field else "options") from error
