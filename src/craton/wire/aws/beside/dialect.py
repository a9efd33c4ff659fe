"""The services beside: every operation in their models, answered, kept, or refused by its name in its protocol."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from craton.access.bookkeeping import Bookkeeping
from craton.core import errors
from craton.core.access import Action
from craton.core.errors import CratonError, Unsupported
from craton.wire.aws.beside.iam import Iam, MalformedPolicy
from craton.wire.aws.beside.opensearchserverless import REST, OpenSearchServerless
from craton.wire.aws.beside.query import MAX_BODY, QueryOperation, action_in, error_reply
from craton.wire.aws.beside.sts import REAL, Sts
from craton.wire.aws.errors import error_headers, error_name
from craton.wire.aws.model import ServiceModel, load_models
from craton.wire.aws.service import Operation, Service
from craton.wire.http import Handler, Reply, Request, Route, Table, json_reply

Handle = Callable[[Request, dict[str, Any]], dict[str, Any]]

HINT = "docs/operations.md lists what Craton does."
NOTHING_BEHIND = "kept, and nothing runs behind it"
_QUERY_CODES: dict[type[CratonError], tuple[str, int]] = {
    MalformedPolicy: ("MalformedPolicyDocument", 400),
    errors.InvalidRequest: ("ValidationError", 400),
    errors.Unsupported: ("NotImplemented", 501),
    errors.TooLarge: ("ValidationError", 400),
    errors.Forbidden: ("AccessDenied", 403),
    errors.NotFound: ("NoSuchEntity", 404),
    errors.Throttled: ("LimitExceeded", 409),
    errors.StorageFull: ("ServiceUnavailable", 503),
}
_CREDENTIALS = {
    "missing": "MissingAuthenticationToken",
    "invalid": "InvalidClientTokenId",
    "expired": "ExpiredToken",
    "signature": "SignatureDoesNotMatch",
    "skewed": "SignatureDoesNotMatch",
}


class QueryTable:
    """The routes of one service of the protocol "query": one path, the operation stands in the form."""

    def __init__(self, service: str, routes: list[Route]) -> None:
        self.routes: list[Route] = routes
        self._by_name = {route.operation: route for route in routes}
        self._entry = Route("POST", "/", service, "unknown", _unknown, _write_query_error, Action.READ,
                            max_body=MAX_BODY, narrow=self._narrow)  # fmt: skip

    def find(self, request: Request) -> Route | None:
        return self._entry if request.method == "POST" and request.path == "/" else None

    def _narrow(self, request: Request) -> Route | None:
        return self._by_name.get(action_in(request))


class TargetTable:
    """The routes of one service of the protocol "json": the operation stands in the header X-Amz-Target.

    otherwise: the route of a request without that header.
    """

    def __init__(self, prefix: str, routes: list[Route], otherwise: Route) -> None:
        self.routes, self._prefix, self._otherwise = routes, prefix, otherwise
        self._by_name = {route.operation: route for route in routes}

    def find(self, request: Request) -> Route | None:
        if "x-amz-target" not in request.headers:
            return self._otherwise
        prefix, _, name = request.headers["x-amz-target"].partition(".")
        found = request.method == "POST" and request.path == "/" and prefix == self._prefix
        return self._by_name.get(name) if found else None


class BesideDialect:
    """tables: by the service's name in signatures."""

    def __init__(self, kept: Bookkeeping, models: Mapping[str, ServiceModel] | None = None) -> None:
        models = models or load_models(("sts", "iam", "opensearchserverless"))
        self.tables: dict[str, Table] = {
            "sts": QueryTable("sts", _query_routes(models["sts"], Sts().handlers)),
            "iam": QueryTable("iam", _query_routes(models["iam"], Iam(kept).handlers)),
            "aoss": _target_table(models["opensearchserverless"], OpenSearchServerless(kept).handlers),
        }


def _query_routes(model: ServiceModel, handlers: Mapping[str, Handle]) -> list[Route]:
    routes = []
    for name, described in model.operations.items():
        operation, handle = QueryOperation(model, described), handlers.get(name)
        handler = _answer_query(operation, handle) if handle else _refusing(name, model.name)
        routes.append(_route(model.name, name, handler, _write_query_error, handle is not None))
    return routes


def _target_table(model: ServiceModel, handlers: Mapping[str, Handle]) -> TargetTable:
    service = Service(model)

    def write(error: CratonError, request: Request) -> Reply:
        name = error_name(error, service.error_statuses)
        refused = isinstance(error, errors.Unauthenticated | errors.Forbidden)
        # The protocol knows 400 and 500; clients go by the name. Who may not come in is told so by 403 everywhere.
        status = 403 if refused else 500 if name.startswith("InternalServer") else 400
        body = {"__type": name, "message": str(error)}
        return json_reply(status, body, error_headers(error, name, request))

    routes = []
    for name, operation in service.operations.items():
        handle = handlers.get(name)
        handler = _answer_json(operation, handle) if handle else _refusing(name, model.name)
        routes.append(_route(model.name, name, handler, write, handle is not None))
    return TargetTable(model.metadata.target_prefix, routes, REST)


def _route(service: str, name: str, handler: Handler, write: Any, is_answered: bool) -> Route:
    kept = "real" if name in REAL and service == "sts" else "bookkeeping"
    return Route(
        method="POST",
        pattern="/",
        dialect=service,
        operation=name,
        handler=handler,
        write_error=write,
        action=Action.READ if name.startswith(("Get", "List", "BatchGet")) else Action.WRITE,
        status=kept if is_answered else "refused",
        max_body=MAX_BODY,
        note=NOTHING_BEHIND if is_answered and kept == "bookkeeping" else service,
    )


def _answer_query(operation: QueryOperation, handle: Handle) -> Handler:
    async def answer(request: Request) -> Reply:
        value = operation.parse(request)
        return operation.write(await asyncio.to_thread(handle, request, value), request)

    return answer


def _answer_json(operation: Operation, handle: Handle) -> Handler:
    async def answer(request: Request) -> Reply:
        value = operation.parse(request)
        reply = operation.write(await asyncio.to_thread(handle, request, value))
        reply.headers["content-type"] = "application/x-amz-json-1.0"
        reply.headers["x-amzn-requestid"] = request.request_id
        return reply

    return answer


def _refusing(name: str, service: str) -> Handler:
    async def refuse(_request: Request) -> Reply:
        raise Unsupported(f"The operation {name} of {service}", HINT)

    return refuse


async def _unknown(request: Request) -> Reply:
    raise errors.NotFound("operation", action_in(request)[:100])


def _write_query_error(error: CratonError, request: Request) -> Reply:
    if isinstance(error, errors.Unauthenticated):
        code, status = _CREDENTIALS.get(error.code, "InvalidClientTokenId"), 403
    elif isinstance(error, errors.NotFound) and error.kind == "operation":
        code, status = "InvalidAction", 400
    elif isinstance(error, errors.Conflict):
        code, status = ("EntityAlreadyExists" if "exists" in error.reason else "DeleteConflict"), 409
    else:
        found = next((_QUERY_CODES[kind] for kind in type(error).__mro__ if kind in _QUERY_CODES), None)
        code, status = found or ("ServiceFailure", 500)
    return error_reply(code, status, str(error), request)
