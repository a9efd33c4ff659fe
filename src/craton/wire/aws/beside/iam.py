"""IAM's roles and policies, kept for the scripts that make them first. They allow and forbid nothing: what a key may
do is its role here (`craton keys`)."""

from __future__ import annotations

import base64
import hashlib
from typing import Any
from urllib.parse import quote

import msgspec

from craton.access.bookkeeping import Bookkeeping, Record
from craton.core.errors import Conflict, InvalidRequest, NotFound
from craton.wire.aws.account import account_of
from craton.wire.aws.s3.describing import moment
from craton.wire.http import Request

Value = dict[str, Any]
ROLE, POLICY = "iam-role", "iam-policy"
MAX_ITEMS = 100


class MalformedPolicy(InvalidRequest):
    """A policy document that is no JSON object."""


class Iam:
    """Handlers by operation name. Blocking. Tenant by tenant, as everything."""

    def __init__(self, kept: Bookkeeping) -> None:
        self._kept = kept
        self.handlers = {
            "CreateRole": self.create_role,
            "GetRole": self.get_role,
            "ListRoles": self.list_roles,
            "DeleteRole": self.delete_role,
            "CreatePolicy": self.create_policy,
            "GetPolicy": self.get_policy,
            "ListPolicies": self.list_policies,
            "DeletePolicy": self.delete_policy,
            "AttachRolePolicy": self.attach,
            "DetachRolePolicy": self.detach,
            "ListAttachedRolePolicies": self.attached,
            "PutRolePolicy": self.put_inline,
            "GetRolePolicy": self.get_inline,
            "ListRolePolicies": self.list_inline,
            "DeleteRolePolicy": self.delete_inline,
        }

    # --- roles ----------------------------------------------------------------------------------------------

    def create_role(self, request: Request, value: Value) -> Value:
        tenant, name = request.authenticated.tenant, value["RoleName"]
        kept = {
            "path": value.get("Path", "/"),
            "document": _document(value["AssumeRolePolicyDocument"]),
            "description": value.get("Description"),
            "seconds": value.get("MaxSessionDuration", 3600),
            "tags": value.get("Tags", []),
            "attached": {},
            "inline": {},
        }
        return {"Role": _role(tenant, self._kept.create(tenant, ROLE, name, kept))}

    def get_role(self, request: Request, value: Value) -> Value:
        tenant = request.authenticated.tenant
        return {"Role": _role(tenant, self._kept.get(tenant, ROLE, value["RoleName"]))}

    def list_roles(self, request: Request, value: Value) -> Value:
        tenant = request.authenticated.tenant
        found, more = self._page(tenant, ROLE, value)
        return {"Roles": [_role(tenant, record) for record in found], **more}

    def delete_role(self, request: Request, value: Value) -> Value:
        tenant, name = request.authenticated.tenant, value["RoleName"]
        held = self._kept.get(tenant, ROLE, name).value
        if held["attached"] or held["inline"]:
            raise Conflict("role", name, "policies are attached to it; detach and delete them first.")
        self._kept.delete(tenant, ROLE, name)
        return {}

    # --- policies -------------------------------------------------------------------------------------------

    def create_policy(self, request: Request, value: Value) -> Value:
        tenant, name = request.authenticated.tenant, value["PolicyName"]
        kept = {
            "path": value.get("Path", "/"),
            "document": _document(value["PolicyDocument"]),
            "description": value.get("Description"),
            "tags": value.get("Tags", []),
        }
        return {"Policy": self._policy(tenant, self._kept.create(tenant, POLICY, name, kept))}

    def get_policy(self, request: Request, value: Value) -> Value:
        tenant = request.authenticated.tenant
        return {"Policy": self._policy(tenant, self._kept.get(tenant, POLICY, _own_policy(tenant, value)))}

    def list_policies(self, request: Request, value: Value) -> Value:
        tenant = request.authenticated.tenant
        if value.get("Scope") == "AWS":
            return {"Policies": [], "IsTruncated": False}
        found, more = self._page(tenant, POLICY, value)
        return {"Policies": [self._policy(tenant, record) for record in found], **more}

    def delete_policy(self, request: Request, value: Value) -> Value:
        tenant = request.authenticated.tenant
        name = _own_policy(tenant, value)
        if self._attachments(tenant, value["PolicyArn"]):
            raise Conflict("policy", name, "it is attached to a role; detach it first.")
        self._kept.delete(tenant, POLICY, name)
        return {}

    # --- policies of roles ----------------------------------------------------------------------------------

    def attach(self, request: Request, value: Value) -> Value:
        """One's own policies must exist; those that AWS manages are taken by their name."""
        tenant, arn = request.authenticated.tenant, value["PolicyArn"]
        if not arn.startswith("arn:aws:iam::aws:policy/"):
            self._kept.get(tenant, POLICY, _own_policy(tenant, value))
        self._edit(tenant, value, "attached", lambda held: held | {arn: arn.rpartition("/")[2]})
        return {}

    def detach(self, request: Request, value: Value) -> Value:
        self._remove(request.authenticated.tenant, value, "attached", value["PolicyArn"])
        return {}

    def attached(self, request: Request, value: Value) -> Value:
        held = self._kept.get(request.authenticated.tenant, ROLE, value["RoleName"]).value["attached"]
        found = [{"PolicyName": name, "PolicyArn": arn} for arn, name in held.items()]
        return {"AttachedPolicies": found, "IsTruncated": False}

    def put_inline(self, request: Request, value: Value) -> Value:
        added = {value["PolicyName"]: _document(value["PolicyDocument"])}
        self._edit(request.authenticated.tenant, value, "inline", lambda held: held | added)
        return {}

    def get_inline(self, request: Request, value: Value) -> Value:
        held = self._kept.get(request.authenticated.tenant, ROLE, value["RoleName"]).value["inline"]
        if value["PolicyName"] not in held:
            raise NotFound("role policy", value["PolicyName"])
        shown = {"RoleName": value["RoleName"], "PolicyName": value["PolicyName"]}
        return {**shown, "PolicyDocument": quote(held[value["PolicyName"]])}

    def list_inline(self, request: Request, value: Value) -> Value:
        held = self._kept.get(request.authenticated.tenant, ROLE, value["RoleName"]).value["inline"]
        return {"PolicyNames": sorted(held), "IsTruncated": False}

    def delete_inline(self, request: Request, value: Value) -> Value:
        self._remove(request.authenticated.tenant, value, "inline", value["PolicyName"])
        return {}

    def _edit(self, tenant: str, value: Value, part: str, edit: Any) -> None:
        self._kept.change(tenant, ROLE, value["RoleName"], lambda held: {**held, part: edit(held[part])})

    def _remove(self, tenant: str, value: Value, part: str, name: str) -> None:
        def remove(held: Value) -> Value:
            if name not in held:
                raise NotFound("policy of the role", name)
            return {key: item for key, item in held.items() if key != name}

        self._edit(tenant, value, part, remove)

    def _page(self, tenant: str, kind: str, value: Value) -> tuple[list[Record], Value]:
        limit = value.get("MaxItems", MAX_ITEMS)
        found = self._kept.list(tenant, kind, value.get("Marker", ""), limit + 1)
        more = len(found) > limit
        return found[:limit], {"IsTruncated": more, **({"Marker": found[limit - 1].name} if more else {})}

    def _attachments(self, tenant: str, arn: str) -> int:
        return sum(arn in role.value["attached"] for role in self._kept.list(tenant, ROLE, limit=10_000))

    def _policy(self, tenant: str, record: Record) -> Value:
        arn = f"arn:aws:iam::{account_of(tenant)}:policy{record.value['path']}{record.name}"
        return {
            "PolicyName": record.name,
            "PolicyId": _id("ANPA", tenant, record),
            "Arn": arn,
            "Path": record.value["path"],
            "DefaultVersionId": "v1",
            "AttachmentCount": self._attachments(tenant, arn),
            "IsAttachable": True,
            "Description": record.value["description"],
            "CreateDate": moment(record.created),
            "UpdateDate": moment(record.created),
            "Tags": record.value["tags"],
        }


def _role(tenant: str, record: Record) -> Value:
    held = record.value
    return {
        "Path": held["path"],
        "RoleName": record.name,
        "RoleId": _id("AROA", tenant, record),
        "Arn": f"arn:aws:iam::{account_of(tenant)}:role{held['path']}{record.name}",
        "CreateDate": moment(record.created),
        "AssumeRolePolicyDocument": quote(held["document"]),
        "Description": held["description"],
        "MaxSessionDuration": held["seconds"],
        "Tags": held["tags"],
    }


def _own_policy(tenant: str, value: Value) -> str:
    """The name in the ARN of one's own policy. Raises NotFound."""
    arn = str(value["PolicyArn"])
    if not arn.startswith(f"arn:aws:iam::{account_of(tenant)}:policy/"):
        raise NotFound("policy", arn[:200])
    return arn.rpartition("/")[2]


def _document(text: str) -> str:
    """Raises MalformedPolicy."""
    try:
        if isinstance(msgspec.json.decode(text), dict):
            return text
    except (msgspec.DecodeError, RecursionError):
        pass
    raise MalformedPolicy("the policy document is not a JSON object", "PolicyDocument")


def _id(prefix: str, tenant: str, record: Record) -> str:
    mark = hashlib.sha256(f"{prefix} {tenant} {record.name} {record.created}".encode()).digest()
    return prefix + base64.b32encode(mark).decode()[:17]
