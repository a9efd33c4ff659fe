"""Finds the route of a request by its method and raw path.

Raw, because percent-encoded slashes inside a segment and trailing slashes carry meaning in the AWS and hub dialects.
A literal segment wins over a {placeholder}.suffix, that over a {placeholder}, and that over a {greedy+} rest. What is
literal in first place owns every path that begins with it: a pattern that begins with a placeholder, such as that of a
repository's files, never sees them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import unquote

from craton.wire.http import Request, Route


class RouteConflict(Exception):
    """Two routes would claim the same request."""


@dataclass(slots=True)
class _Node:
    literals: dict[str, _Node] = field(default_factory=dict)
    suffixed: dict[str, _Node] = field(default_factory=dict)  # by what stands behind the placeholder
    placeholder: _Node | None = None
    here: dict[str, list[Route]] = field(default_factory=dict)  # by method: routes that end here
    greedy: dict[str, list[Route]] = field(default_factory=dict)  # by method: routes that take the rest


class Router:
    """The one table of routes. Raises RouteConflict at construction when two routes cannot be told apart,
    and ValueError when a route has no policy."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = list(routes)
        self._root = _Node()
        for route in self.routes:
            if route.action is None:
                raise ValueError(f"{route.dialect} {route.operation} ({route.method} {route.pattern}) has no policy")
            self._insert(route)

    def _insert(self, route: Route) -> None:
        node = self._root
        segments = route.pattern.split("/")[1:]
        table = node.here
        for position, segment in enumerate(segments):
            if segment.startswith("{") and segment.endswith("+}"):
                if position != len(segments) - 1:
                    raise RouteConflict(f"{route.pattern}: a greedy placeholder must come last")
                table = node.greedy
                break
            suffix = segment.rpartition("}")[2]
            if segment.startswith("{") and suffix:
                node = node.suffixed.setdefault(suffix, _Node())
            elif segment.startswith("{"):
                node.placeholder = node.placeholder or _Node()
                node = node.placeholder
            else:
                node = node.literals.setdefault(segment, _Node())
            table = node.here
        claimed = table.setdefault(route.method, [])
        if any(other.when is None for other in claimed) and route.when is None:
            others = ", ".join(f"{other.dialect} {other.operation}" for other in claimed)
            raise RouteConflict(
                f"{route.dialect} {route.operation} claims {route.method} {route.pattern} like {others}"
            )
        claimed.append(route)
        claimed.sort(key=lambda other: other.when is None)

    def find(self, request: Request) -> Route | None:
        """The route of this request, with `request.params` filled, or None."""
        segments = request.path.split("/")[1:]
        values: list[str] = []
        route = self._walk(self._root, segments, 0, values, request)
        if route is None:
            return None
        names = [segment for segment in route.pattern.split("/") if segment.startswith("{")]
        request.params = {
            name[1:].partition("}")[0].rstrip("+"): unquote(value) for name, value in zip(names, values, strict=True)
        }
        return route

    def _walk(
        self, node: _Node, segments: list[str], position: int, values: list[str], request: Request
    ) -> Route | None:
        if position == len(segments):
            return _choose(node.here, request)
        segment = segments[position]
        child = node.literals.get(segment)
        if child is not None:
            route = self._walk(child, segments, position + 1, values, request)
            if route is not None or node is self._root:
                return route
        for suffix, child in node.suffixed.items():
            if len(segment) > len(suffix) and segment.endswith(suffix):
                values.append(segment.removesuffix(suffix))
                route = self._walk(child, segments, position + 1, values, request)
                if route is not None:
                    return route
                values.pop()
        if node.placeholder is not None and segment:
            values.append(segment)
            route = self._walk(node.placeholder, segments, position + 1, values, request)
            if route is not None:
                return route
            values.pop()
        rest = "/".join(segments[position:])
        route = _choose(node.greedy, request) if rest else None
        if route is not None:
            values.append(rest)
        return route


def _choose(by_method: dict[str, list[Route]], request: Request) -> Route | None:
    for route in by_method.get(request.method, ()):
        if route.when is None or route.when(request):
            return route
    return None
