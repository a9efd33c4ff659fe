"""The services beside Bedrock and S3, as unmodified boto3 speaks them; no route of theirs answers strangers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import boto3
import httpx
import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from craton.access.keys import Keys
from craton.access.root import load_master
from craton.access.tenants import Tenants
from craton.app.build import Server
from craton.app.config import Home
from craton.app.platform import open_platform
from craton.core.access import Action, KeyRole
from craton.store.database import Database
from craton.wire.http import Route
from tests.servers import RunningServer

POLICY = json.dumps({"Version": "2012-10-17", "Statement": []})
SIGNED_AS = {"opensearchserverless": "aoss"}
BESIDE = {"s3", "sts", "iam", "opensearchserverless"}


def connect(server: RunningServer, service: str, token: str = "") -> Any:
    _, key, secret = (token or server.token).split("-", 2)
    return boto3.client(
        service, endpoint_url=server.url, aws_access_key_id=key, aws_secret_access_key=secret,
        region_name="us-east-1", config=Config(retries={"total_max_attempts": 1}),
    )  # fmt: skip


def code_of(call: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as caught:
        call()
    return str(caught.value.response["Error"]["Code"])


@pytest.fixture(scope="module")
def tokens(server: RunningServer) -> dict[str, str]:
    database = Database.at(server.home / "craton.db")
    keys, tenant = Keys(database, load_master(server.home)), f"t-{uuid4().hex[:8]}"
    Tenants(database).create(tenant)
    made = {
        "stranger": keys.create(tenant, "theirs", KeyRole.ADMIN).token,
        "reader": keys.create("default", "reader", KeyRole.READER).token,
    }
    database.close()
    return made


def test_sts_says_who_is_calling(server: RunningServer, tokens: dict[str, str]) -> None:
    root, reader, stranger = (
        connect(server, "sts", tokens.get(who, "")).get_caller_identity() for who in ("root", "reader", "stranger")
    )
    assert root["Account"] == reader["Account"] != stranger["Account"]
    assert len(root["Account"]) == 12
    assert root["Arn"] == f"arn:aws:iam::{root['Account']}:root"
    key = tokens["reader"].split("-")[1]
    assert (reader["Arn"], reader["UserId"]) == (f"arn:aws:iam::{reader['Account']}:user/{key}", key)
    assume = {"RoleArn": "arn:aws:iam::123456789012:role/x", "RoleSessionName": "xx"}
    assert code_of(lambda: connect(server, "sts").assume_role(**assume)) == "NotImplemented"


def test_roles_and_policies_are_kept(server: RunningServer, tokens: dict[str, str]) -> None:
    iam, name = connect(server, "iam"), uuid4().hex
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=POLICY, Description="d")["Role"]
    assert iam.get_role(RoleName=name)["Role"] == role
    assert role["AssumeRolePolicyDocument"] == json.loads(POLICY)
    again = {"RoleName": name, "AssumeRolePolicyDocument": POLICY}
    assert code_of(lambda: iam.create_role(**again)) == "EntityAlreadyExists"
    arn = iam.create_policy(PolicyName=name, PolicyDocument=POLICY)["Policy"]["Arn"]
    iam.attach_role_policy(RoleName=name, PolicyArn=arn)
    managed = "arn:aws:iam::aws:policy/AmazonBedrockFullAccess"
    iam.attach_role_policy(RoleName=name, PolicyArn=managed)
    attached = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    assert {item["PolicyArn"] for item in attached} == {arn, managed}
    assert iam.get_policy(PolicyArn=arn)["Policy"]["AttachmentCount"] == 1
    assert arn in {item["Arn"] for item in iam.list_policies(Scope="Local")["Policies"]}
    iam.put_role_policy(RoleName=name, PolicyName="inline", PolicyDocument=POLICY)
    assert iam.get_role_policy(RoleName=name, PolicyName="inline")["PolicyDocument"] == json.loads(POLICY)
    assert code_of(lambda: iam.delete_policy(PolicyArn=arn)) == "DeleteConflict"
    assert code_of(lambda: iam.delete_role(RoleName=name)) == "DeleteConflict"
    stranger = connect(server, "iam", tokens["stranger"])
    assert code_of(lambda: stranger.get_role(RoleName=name)) == "NoSuchEntity"
    assert code_of(lambda: stranger.get_policy(PolicyArn=arn)) == "NoSuchEntity"
    reader = connect(server, "iam", tokens["reader"])
    assert code_of(lambda: reader.delete_role_policy(RoleName=name, PolicyName="inline")) == "AccessDenied"
    for policy in (arn, managed):
        iam.detach_role_policy(RoleName=name, PolicyArn=policy)
    iam.delete_role_policy(RoleName=name, PolicyName="inline")
    iam.delete_role(RoleName=name)
    iam.delete_policy(PolicyArn=arn)
    assert code_of(lambda: iam.get_role(RoleName=name)) == "NoSuchEntity"
    assert code_of(lambda: iam.create_policy(PolicyName="p", PolicyDocument="no")) == "MalformedPolicyDocument"
    assert code_of(iam.list_users) == "NotImplemented"


def test_collections_are_kept(server: RunningServer, tokens: dict[str, str]) -> None:
    aoss, name = connect(server, "opensearchserverless"), f"c{uuid4().hex[:12]}"
    made = aoss.create_security_policy(name=name, type="encryption", policy=POLICY)["securityPolicyDetail"]
    assert made["policy"] == json.loads(POLICY)
    aoss.create_access_policy(name=name, type="data", policy="[]")
    collection = aoss.create_collection(name=name, type="VECTORSEARCH")["createCollectionDetail"]
    found = aoss.batch_get_collection(names=[name, "absent"])
    assert [item["arn"] for item in found["collectionDetails"]] == [collection["arn"]]
    assert "collectionEndpoint" not in found["collectionDetails"][0]
    assert found["collectionErrorDetails"][0]["name"] == "absent"
    assert name in {item["name"] for item in aoss.list_collections()["collectionSummaries"]}
    stranger = connect(server, "opensearchserverless", tokens["stranger"])
    assert stranger.list_collections()["collectionSummaries"] == []
    delete = {"id": collection["id"]}
    assert code_of(lambda: stranger.delete_collection(**delete)) == "ResourceNotFoundException"
    assert code_of(lambda: aoss.create_collection(name=name)) == "ConflictException"
    aoss.delete_collection(**delete)
    aoss.delete_access_policy(name=name, type="data")
    aoss.delete_security_policy(name=name, type="encryption")
    assert code_of(aoss.list_vpc_endpoints) == "ValidationException"


@pytest.mark.parametrize(("method", "path"), [("PUT", "/my-index"), ("POST", "/my-index/_search"), ("GET", "/")])
def test_what_is_meant_for_opensearch_itself_is_refused_in_its_words(
    method: str, path: str, server: RunningServer, tokens: dict[str, str]
) -> None:
    def call(token: str) -> httpx.Response:
        _, key, secret = token.split("-", 2)
        request = AWSRequest(method, server.url + path, {"content-type": "application/json"}, data=b"{}")
        SigV4Auth(Credentials(key, secret), "aoss", "us-east-1").add_auth(request)
        with httpx.Client(trust_env=False, timeout=60) as client:
            return client.request(method, server.url + path, headers=dict(request.headers.items()), content=b"{}")

    refused = call(server.token)
    assert (refused.status_code, refused.json()["status"]) == (501, 501)
    assert "no vector index needs to be made" in refused.json()["error"]["reason"]
    assert refused.json()["error"]["root_cause"][0]["type"] == "Unsupported"
    strange = call(f"craton-{server.access_key_id}-nonsense")
    assert (strange.status_code, strange.json()["error"]["type"]) == (403, "Unauthenticated")


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> list[Route]:
    platform = open_platform(Home(tmp_path_factory.mktemp("routes") / "home"))
    found = [route for route in Server(platform, {}).services.routes if route.dialect in BESIDE]
    platform.close()
    return found


def send(client: httpx.Client, server: RunningServer, route: Route, token: str) -> httpx.Response:
    """An empty request to this route, signed."""
    _, key, secret = token.split("-", 2)
    path = route.pattern.replace("{Bucket}", "no-such-bucket").replace("{Key+}", "key")
    path += "?uploadId=x" if route.operation == "CompleteMultipartUpload" else ""  # else it is no request of S3's
    headers, body = {}, b""
    if route.dialect in {"sts", "iam"}:
        headers["content-type"], body = "application/x-www-form-urlencoded", f"Action={route.operation}".encode()
    elif route.dialect == "opensearchserverless":
        headers["x-amz-target"], body = f"OpenSearchServerless.{route.operation}", b"{}"
    request = AWSRequest(route.method, server.url + path, headers, data=body)
    kind, service = S3SigV4Auth if route.dialect == "s3" else SigV4Auth, SIGNED_AS.get(route.dialect, route.dialect)
    kind(Credentials(key, secret), service, "us-east-1").add_auth(request)
    return client.request(route.method, server.url + path, headers=dict(request.headers.items()), content=body)


def test_every_route_asks_for_a_right_signature_and_for_its_role(
    server: RunningServer, routes: list[Route], tokens: dict[str, str]
) -> None:
    assert len(routes) > 300
    wrong, leaks = [], []
    with httpx.Client(trust_env=False, timeout=60) as client:
        for route in routes:
            if send(client, server, route, f"craton-{server.access_key_id}-nonsense").status_code != 403:
                leaks.append((route.dialect, route.operation))
            status = send(client, server, route, tokens["reader"]).status_code
            if (status == 403) == (route.action is Action.READ):
                wrong.append((route.dialect, route.operation, route.action, status))
    assert leaks == []
    assert wrong == []
