"""OpenSearch Serverless: collections and policies, kept for the scripts that make them before a knowledge base.

No OpenSearch runs behind a collection, so it is given no endpoint; a knowledge base that names one stores its vectors
in Craton's own index.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import msgspec

from craton.access.bookkeeping import Bookkeeping, Record
from craton.core.access import Action
from craton.core.errors import Conflict, CratonError, InvalidRequest, NotFound, Unsupported
from craton.wire.aws.account import account_of
from craton.wire.aws.names import DEFAULT_REGION
from craton.wire.aws.refusals import status_of
from craton.wire.aws.sigv4 import claimed_region
from craton.wire.http import Reply, Request, Route, json_reply

Value = dict[str, Any]
COLLECTION = "aoss-collection"
MAX_ITEMS = 100


class OpenSearchServerless:
    """Handlers by operation name. Blocking."""

    def __init__(self, kept: Bookkeeping) -> None:
        self._kept = kept
        self.handlers = {
            "CreateCollection": self.create,
            "BatchGetCollection": self.get,
            "ListCollections": self.list_collections,
            "DeleteCollection": self.delete,
        }
        for family in ("Access", "Security"):
            self.handlers |= _Policies(kept, family).handlers

    def create(self, request: Request, value: Value) -> Value:
        tenant = request.authenticated.tenant
        kept = {
            "type": value.get("type", "TIMESERIES"),
            "description": value.get("description"),
            "tags": value.get("tags", []),
            "region": claimed_region(request) or DEFAULT_REGION,
            "standbyReplicas": value.get("standbyReplicas", "ENABLED"),
        }
        return {"createCollectionDetail": _describe(tenant, self._kept.create(tenant, COLLECTION, value["name"], kept))}

    def get(self, request: Request, value: Value) -> Value:
        tenant = request.authenticated.tenant
        wanted = [*value.get("names", []), *value.get("ids", [])]
        described = [_describe(tenant, record) for record in self._kept.list(tenant, COLLECTION, limit=10_000)]
        found = [item for item in described if item["name"] in wanted or item["id"] in wanted]
        known = {item[key] for item in found for key in ("name", "id")}
        absent = [
            {("id" if name in value.get("ids", []) else "name"): name, "errorCode": "NOT_FOUND",
             "errorMessage": "There is no such collection."}
            for name in wanted
            if name not in known
        ]  # fmt: skip
        return {"collectionDetails": found, "collectionErrorDetails": absent}

    def list_collections(self, request: Request, value: Value) -> Value:
        tenant = request.authenticated.tenant
        filters = value.get("collectionFilters", {})
        limit = value.get("maxResults", MAX_ITEMS)
        records = self._kept.list(tenant, COLLECTION, value.get("nextToken", ""), limit + 1)
        described = [_describe(tenant, record) for record in records[:limit]]
        shown = [
            {key: item[key] for key in ("id", "name", "status", "arn")}
            for item in described
            if filters.get("name", item["name"]) == item["name"]
            and filters.get("status", item["status"]) == item["status"]
        ]
        more = {"nextToken": records[limit - 1].name} if len(records) > limit else {}
        return {"collectionSummaries": shown, **more}

    def delete(self, request: Request, value: Value) -> Value:
        tenant = request.authenticated.tenant
        for record in self._kept.list(tenant, COLLECTION, limit=10_000):
            if _id(tenant, record) == value["id"]:
                self._kept.delete(tenant, COLLECTION, record.name)
                return {"deleteCollectionDetail": {"id": value["id"], "name": record.name, "status": "DELETING"}}
        raise NotFound("collection", value["id"])


async def _refuse_rest(_request: Request) -> Reply:
    raise Unsupported(
        "OpenSearch's own API",
        "No OpenSearch runs behind a collection, and no vector index needs to be made in it: "
        "a knowledge base that names the collection keeps its vectors in Craton's own index.",
    )


def _write_rest_error(error: CratonError, request: Request) -> Reply:
    """As OpenSearch words its errors, for its clients to raise."""
    reason = {"type": type(error).__name__, "reason": str(error)}
    status = 501 if isinstance(error, Unsupported) else status_of(error)
    body = {"error": {**reason, "root_cause": [reason]}, "status": status}
    return json_reply(status, body, {"x-amzn-requestid": request.request_id})


REST = Route("*", "/*", "opensearchserverless", "OpenSearch", _refuse_rest, _write_rest_error, Action.READ,
             status="refused")  # fmt: skip
"""Whatever is signed for a collection's endpoint, where vector indexes are made."""


class _Policies:
    """Access policies, or security policies: alike but for their names."""

    def __init__(self, kept: Bookkeeping, family: str) -> None:
        self._kept, self._kind = kept, f"aoss-{family.lower()}-policy"
        self._detail = f"{family.lower()}PolicyDetail"
        self._summaries = f"{family.lower()}PolicySummaries"
        self.handlers = {
            f"Create{family}Policy": self.create,
            f"Get{family}Policy": self.get,
            f"List{'AccessPolicies' if family == 'Access' else 'SecurityPolicies'}": self.list_policies,
            f"Update{family}Policy": self.update,
            f"Delete{family}Policy": self.delete,
        }

    def create(self, request: Request, value: Value) -> Value:
        kept = {"type": value["type"], "policy": _policy(value["policy"]), "description": value.get("description")}
        record = self._kept.create(request.authenticated.tenant, self._kind, _key(value), {**kept, "version": 1})
        return {self._detail: _describe_policy(record)}

    def get(self, request: Request, value: Value) -> Value:
        return {self._detail: _describe_policy(self._kept.get(request.authenticated.tenant, self._kind, _key(value)))}

    def list_policies(self, request: Request, value: Value) -> Value:
        records = self._kept.list(request.authenticated.tenant, self._kind, limit=10_000)
        found = [_describe_policy(record) for record in records if record.value["type"] == value["type"]]
        return {self._summaries: [{key: item for key, item in one.items() if key != "policy"} for one in found]}

    def update(self, request: Request, value: Value) -> Value:
        def edit(held: Value) -> Value:
            if value["policyVersion"] != _version(value["name"], held["version"]):
                raise Conflict("policy", value["name"], "its version is another one by now.")
            policy = _policy(value["policy"]) if "policy" in value else held["policy"]
            description = value.get("description", held["description"])
            return {**held, "policy": policy, "description": description, "version": held["version"] + 1}

        record = self._kept.change(request.authenticated.tenant, self._kind, _key(value), edit)
        return {self._detail: _describe_policy(record)}

    def delete(self, request: Request, value: Value) -> Value:
        self._kept.delete(request.authenticated.tenant, self._kind, _key(value))
        return {}


def _key(value: Value) -> str:
    return f"{value['type']}/{value['name']}"


def _version(name: str, number: int) -> str:
    return base64.b64encode(hashlib.sha256(f"{name} {number}".encode()).digest()[:24]).decode()


def _policy(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        raise InvalidRequest("is not JSON", "policy") from None


def _describe_policy(record: Record) -> Value:
    name = record.name.partition("/")[2]
    milliseconds = round(record.created * 1000)
    return {
        "type": record.value["type"],
        "name": name,
        "policyVersion": _version(name, record.value["version"]),
        "description": record.value["description"],
        "policy": record.value["policy"],
        "createdDate": milliseconds,
        "lastModifiedDate": milliseconds,
    }


def _id(tenant: str, record: Record) -> str:
    mark = hashlib.sha256(f"{tenant} {record.name} {record.created}".encode()).digest()
    return base64.b32encode(mark).decode().lower()[:20]


def _describe(tenant: str, record: Record) -> Value:
    identity, milliseconds = _id(tenant, record), round(record.created * 1000)
    held = record.value
    return {
        "id": identity,
        "name": record.name,
        "status": "ACTIVE",
        "type": held["type"],
        "description": held["description"],
        "arn": f"arn:aws:aoss:{held['region']}:{account_of(tenant)}:collection/{identity}",
        "standbyReplicas": held["standbyReplicas"],
        "createdDate": milliseconds,
        "lastModifiedDate": milliseconds,
    }
