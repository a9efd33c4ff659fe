"""Makes sources from what data sources say, with all that they need given here."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from craton.core.errors import InvalidRequest, Unsupported
from craton.core.knowledge import SourceSpec
from craton.core.repo import RepoId
from craton.data.documents import Source
from craton.data.sources import options as kinds
from craton.data.sources.options import KINDS, read_options
from craton.data.sources.records import template_fields
from craton.data.sources.urls import normal

if TYPE_CHECKING:
    import httpx

    from craton.data.sources.bucket import Buckets
    from craton.data.sources.direct import Pending
    from craton.data.sources.http import Patience
    from craton.data.sources.hub import Hub


class Sources:
    """buckets, hub: as the sources' modules ask. client: gives the one outgoing HTTP client. databases: (tenant,
    name) -> PostgreSQL URL, raises NotFound. secret: (tenant, name) -> a credential from the vault, raises NotFound;
    blocking. allowed_folders: those, and what lies below them, may be read.
    """

    def __init__(
        self,
        *,
        client: Callable[[], httpx.AsyncClient],
        databases: Callable[[str, str], str],
        secret: Callable[[str, str], str],
        hub: Hub,
        buckets: Buckets | None = None,
        allowed_folders: Sequence[Path] = (),
        patience: Patience | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._client, self._databases, self._secret, self._hub = client, databases, secret, hub
        self._buckets, self._allowed = buckets, allowed_folders
        self._patience, self._sleep = patience, sleep

    def check(self, spec: SourceSpec, tenant: str) -> None:
        """What can be said before anything is opened. Blocking (a folder is looked at).

        Raises InvalidRequest naming the option, NotFound for a database that is not registered.
        """
        kind = KINDS.get(spec.kind)
        if kind is None:
            raise InvalidRequest(f"there is no such kind; there are {', '.join(KINDS)}", "kind")
        options = read_options(spec.options, kind)
        if isinstance(options, kinds.FolderOptions):
            from craton.data.sources.folder import check_folder

            check_folder(options.path, self._allowed)
        elif isinstance(options, kinds.WebOptions):
            _check_web(options)
        elif isinstance(options, kinds.SqlOptions):
            _check_sql(options)
            self._databases(tenant, options.database)
        elif isinstance(options, kinds.ApiOptions):
            _check_api(options)
        elif isinstance(options, kinds.HubOptions):
            _check_hub(options)
        if spec.credential and spec.kind != "api":
            raise InvalidRequest("only HTTP APIs take a credential", "credential")

    async def open(self, spec: SourceSpec, tenant: str, pending: Pending | None = None) -> Source:
        """pending: the documents that wait, for "direct". Raises what `check` raises, NotFound for a credential that
        is gone, Unsupported where an extra is missing."""
        await asyncio.to_thread(self.check, spec, tenant)
        match spec.kind:
            case "folder":
                return self._folder(read_options(spec.options, kinds.FolderOptions))
            case "bucket":
                return self._bucket(read_options(spec.options, kinds.BucketOptions), tenant)
            case "web":
                return self._web(read_options(spec.options, kinds.WebOptions))
            case "sql":
                return self._sql(read_options(spec.options, kinds.SqlOptions), tenant)
            case "api":
                secret = await asyncio.to_thread(self._secret, tenant, spec.credential) if spec.credential else ""
                return self._api(read_options(spec.options, kinds.ApiOptions), secret)
            case "hub":
                from craton.data.sources.hub import HubSource

                return HubSource(self._hub, tenant, read_options(spec.options, kinds.HubOptions))
            case "direct":
                return self._direct(tenant, pending)

    def _folder(self, options: kinds.FolderOptions) -> Source:
        from craton.data.sources.folder import FolderSource, check_folder

        return FolderSource(check_folder(options.path, self._allowed), options)

    def _bucket(self, options: kinds.BucketOptions, tenant: str) -> Source:
        from craton.data.sources.bucket import BucketSource

        if self._buckets is None:
            raise Unsupported("A bucket as a source")
        return BucketSource(self._buckets, tenant, options)

    def _web(self, options: kinds.WebOptions) -> Source:
        from craton.data.sources.hosts import Hosts
        from craton.data.sources.http import Http
        from craton.data.sources.web import WebSource

        http = Http(self._client(), options.user_agent, patience=self._patience, sleep=self._sleep)
        return WebSource(http, Hosts(http, agent_of(options), options.rate, sleep=self._sleep), options)

    def _sql(self, options: kinds.SqlOptions, tenant: str) -> Source:
        from craton.data.sources.sql import SqlSource

        return SqlSource(self._databases(tenant, options.database), options)

    def _api(self, options: kinds.ApiOptions, secret: str) -> Source:
        from craton.data.sources.api import ApiSource
        from craton.data.sources.http import Http

        http = Http(self._client(), "craton", patience=self._patience, sleep=self._sleep)
        return ApiSource(http, options, secret)

    def _direct(self, tenant: str, pending: Pending | None) -> Source:
        from craton.data.sources.direct import DirectSource

        if pending is None:
            raise InvalidRequest("no documents were handed in", "pending")
        return DirectSource(pending, self._hub.blobs.read, self._buckets, tenant)


def agent_of(options: kinds.WebOptions) -> str:
    """The name by which robots.txt may speak to us: "craton" of "craton/1.0 (+https://example.com)"."""
    return options.user_agent.partition("/")[0].partition(" ")[0]


def _check_web(options: kinds.WebOptions) -> None:
    from craton.data.sources.filters import Filters

    for number, seed in enumerate(options.seeds):
        if not normal(seed) or "@" in seed.partition("://")[2].partition("/")[0]:
            raise InvalidRequest("is not an http(s) address without a user", f"options.seeds[{number}]")
    Filters(options.include, options.exclude)


def _check_sql(options: kinds.SqlOptions) -> None:
    if bool(options.table) == bool(options.query):
        raise InvalidRequest("either table or query has to be given", "options.table")
    if options.table and not all(options.table.split(".")):
        raise InvalidRequest("is not NAME or SCHEMA.NAME", "options.table")
    if options.table.count(".") > 1:
        raise InvalidRequest("is not NAME or SCHEMA.NAME", "options.table")
    if options.query and not options.key:
        raise InvalidRequest("a query's rows need the columns that name them", "options.key")
    if options.template and not template_fields(options.template):
        raise InvalidRequest("names no {column}", "options.template")
    if "\0" in f"{options.table}{options.query}{options.template}":
        raise InvalidRequest("a NUL character cannot be sent", "options.query")


def _check_api(options: kinds.ApiOptions) -> None:
    if not normal(options.url) or "@" in options.url.partition("://")[2].partition("/")[0]:
        raise InvalidRequest("is not an http(s) address without a user", "options.url")
    page = options.pagination
    if page.kind in {"page", "offset", "cursor"} and not page.parameter:
        raise InvalidRequest("has to be given", "options.pagination.parameter")
    if page.kind in {"cursor", "next"} and not page.pointer:
        raise InvalidRequest("has to be given", "options.pagination.pointer")
    if bool(page.size_parameter) != (page.size is not None) and page.size_parameter:
        raise InvalidRequest("has to be given with size_parameter", "options.pagination.size")
    if bool(options.updated) != bool(options.since_parameter):
        raise InvalidRequest("has to be given with since_parameter, and the other way round", "options.updated")
    if not options.key:
        raise InvalidRequest("must lead into an item", "options.key")
    for name in options.headers:
        if name.lower() in {options.auth_header.lower(), "authorization", "cookie", "host", "accept-encoding"}:
            raise InvalidRequest("is not for plain options: a secret belongs into the vault", f"options.headers.{name}")


def _check_hub(options: kinds.HubOptions) -> None:
    from craton.hub.names import check_repo

    namespace, _, name = options.repo.partition("/")
    try:
        check_repo(RepoId(options.repo_kind, namespace, name))
    except InvalidRequest as error:
        raise InvalidRequest(error.reason, "options.repo") from error
    if not options.rows and (options.key or options.text or options.title or options.metadata):
        raise InvalidRequest("columns are for rows: set rows", "options.rows")
