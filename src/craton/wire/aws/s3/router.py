"""Finds S3's operations: by bucket and key in the path or the host, by flags in the query, by headers.

Path style: /BUCKET/KEY. Virtual-host style: the host BUCKET.localhost, where the path is the key.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote

from craton.core.errors import InvalidRequest
from craton.wire.aws.s3.operation import query_of
from craton.wire.http import Request, Route

DOMAINS = (".localhost",)  # below which the first labels of a host name a bucket


@dataclass(frozen=True, slots=True)
class Claim:
    """What a route asks of the request beside its method and level. query: fields, "name=value" for a certain one."""

    route: Route
    query: frozenset[str]
    headers: frozenset[str]

    def fits(self, query: dict[str, str], headers: Iterable[str]) -> bool:
        return all(_has(query, wanted) for wanted in self.query) and self.headers <= set(headers)


class S3Router:
    """claims: of two that fit, the one that asks for more wins. domains: see DOMAINS."""

    def __init__(self, claims: Iterable[Claim], domains: tuple[str, ...] = DOMAINS) -> None:
        self._domains = domains
        ordered = sorted(claims, key=lambda claim: -len(claim.query) - len(claim.headers))
        self.routes = [claim.route for claim in ordered]
        self._table: dict[tuple[str, int], list[Claim]] = {}
        for claim in ordered:
            level = claim.route.pattern.partition("?")[0].count("{")
            self._table.setdefault((claim.route.method, level), []).append(claim)

    def find(self, request: Request) -> Route | None:
        """The operation, with Bucket and Key in `request.params`."""
        bucket, _, key = self._address(request).partition("/")
        level = 2 if key else 1 if bucket else 0
        try:
            params = {"Bucket": unquote(bucket, errors="strict"), "Key": unquote(key, errors="strict")}
            query = query_of(request) if request.query else {}
        except (UnicodeDecodeError, InvalidRequest):
            return None
        for claim in self._table.get((request.method, level), ()):
            if claim.fits(query, request.headers):
                request.params = dict(list(params.items())[:level])
                return claim.route
        return None

    def _address(self, request: Request) -> str:
        """ "BUCKET/KEY", still percent-encoded."""
        host = request.headers.get("host", "").rpartition(":")[0] or request.headers.get("host", "")
        for domain in self._domains:
            if host.lower().endswith(domain):
                return host[: -len(domain)].lower() + request.path
        return request.path[1:]


def _has(query: dict[str, str], wanted: str) -> bool:
    name, separator, value = wanted.partition("=")
    return name in query and (not separator or query[name] == value)
