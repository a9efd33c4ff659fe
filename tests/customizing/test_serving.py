"""Custom models brought in, deployed and provisioned: by unmodified boto3, answered by real workers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from botocore.exceptions import ClientError
from huggingface_hub import HfApi

from tests.app.collaborating import Company, company
from tests.customizing.clients import ROLE, Clients, wait, wait_until
from tests.engines.llama_cpp.tiny_llama import Lora, random_weights, write_gguf
from tests.servers import serving

Json = dict[str, Any]
Read = Callable[[Json], str]
WAYS = ("Converse", "ConverseStream", "InvokeModel", "InvokeModelWithResponseStream")
CONFIG = """
[server]
idle = 1

[engines.llama_cpp]
threads = 1
parallel = 2
"""


@dataclass
class Firm:
    """alice has two tiny bases in a bucket and one in the hub, and adapters over that."""

    company: Company
    alice: Clients
    bob: Clients

    def bring(self, name: str, source: str) -> str:
        arn = str(
            self.alice.bedrock.create_custom_model(
                modelName=name, roleArn=ROLE, modelSourceConfig={"s3DataSource": {"s3Uri": source}}
            )["modelArn"]
        )
        wait(lambda: self.alice.bedrock.get_custom_model(modelIdentifier=arn), "Active", member="modelStatus")
        return arn


@pytest.fixture(scope="module")
def firm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firm]:
    with company(tmp_path_factory.mktemp("firm") / "home", CONFIG) as running:
        alice, bob = (Clients(running.server, str(api.token)) for api in (running.alice, running.bob))
        folder = tmp_path_factory.mktemp("models")
        alice.s3.create_bucket(Bucket="models")
        for number in (1, 2):
            write_gguf(folder / f"{number}.gguf", random_weights(number))
            alice.s3.upload_file(str(folder / f"{number}.gguf"), "models", f"tiny-{number}/model.gguf")
        alice.s3.put_object(Bucket="models", Key="tiny-1/evil.pkl", Body=b"never read")
        _upload(running.alice, "alice/tiny", folder / "base", folder / "1.gguf")
        yield Firm(running, alice, bob)


def _upload(api: HfApi, name: str, folder: Path, file: Path) -> None:
    folder.mkdir()
    file.rename(folder / "tiny.gguf")
    api.create_repo(name, private=True)
    api.upload_folder(repo_id=name, folder_path=folder)


def refused(error: pytest.ExceptionInfo[ClientError]) -> tuple[str, str]:
    found = error.value.response["Error"]
    return found["Code"], found["Message"]


@pytest.fixture(scope="module")
def first(firm: Firm) -> str:
    return firm.bring("first", "s3://models/tiny-1/")


@pytest.fixture(scope="module")
def second(firm: Firm) -> str:
    return firm.bring("second", "s3://models/tiny-2")


@pytest.fixture(scope="module")
def deployed(firm: Firm, first: str) -> str:
    return firm.alice.deploy("support", first)


def test_a_model_from_a_bucket_is_a_repository_without_what_could_run(firm: Firm, first: str) -> None:
    found = firm.alice.bedrock.get_custom_model(modelIdentifier=first)
    assert found["modelName"] == "first"
    assert found["customizationType"] == "IMPORTED"
    assert firm.alice.bedrock.get_custom_model(modelIdentifier="first")["modelArn"] == first
    assert set(firm.company.alice.list_repo_files("custom/first")) == {"model.gguf"}


def test_a_deployment_answers_in_every_dialect_as_its_repository_does(firm: Firm, deployed: str) -> None:
    alice, url = firm.alice, firm.company.server.url
    said = alice.say("custom/first")
    assert alice.say(deployed) == said
    question = {"role": "user", "content": "w1 w2 w3"}
    with openai.OpenAI(base_url=f"{url}/v1", api_key=alice.token) as client:
        chat = client.chat.completions.create(model=deployed, messages=[question], max_tokens=8, temperature=0)  # type: ignore[list-item]
        assert chat.choices[0].message.content == said
    with anthropic.Anthropic(base_url=url, api_key=alice.token) as client:
        message = client.messages.create(
            model=deployed,
            messages=[question],  # type: ignore[list-item]
            max_tokens=8,
            extra_body={"temperature": 0},
        )
        assert message.content[0].text == said  # type: ignore[union-attr]
    assert {name: way() for name, way in alice.ways(deployed).items()} == dict.fromkeys(WAYS, said)
    assert alice.counted(deployed) == alice.counted("custom/first") > 0


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"max_gen_len": 8}, lambda piece: piece["generation"]),
        ({"max_tokens": 8}, lambda piece: piece["choices"][0]["text"]),
    ],
)
def test_a_prompt_is_gone_on_with_as_it_stands(firm: Firm, deployed: str, given: Json, text: Read) -> None:
    """In Llama's words, and in OpenAI's. This model's template adds nothing, so it says what it says to a message."""
    runtime = firm.alice.runtime
    asked = {"modelId": deployed, "body": json.dumps({"prompt": "w1 w2 w3", "temperature": 0, **given})}
    whole = json.loads(runtime.invoke_model(**asked)["body"].read())
    stream = runtime.invoke_model_with_response_stream(**asked)["body"]
    pieces = [json.loads(event["chunk"]["bytes"]) for event in stream]
    assert "".join(map(text, pieces)) == text(whole)
    assert text(whole).strip() == firm.alice.say(deployed).strip()
    figures = pieces[-1]["amazon-bedrock-invocationMetrics"]
    told = whole.get("usage") or {
        "prompt_tokens": whole["prompt_token_count"],
        "completion_tokens": whole["generation_token_count"],
    }
    read = figures["inputTokenCount"] + figures.get("cacheReadInputTokenCount", 0)
    assert (read, figures["outputTokenCount"]) == (told["prompt_tokens"], told["completion_tokens"])
    assert read == firm.alice.counted(deployed)


def test_what_is_deployed_is_updated_to_another_model_and_gone_when_it_is_deleted(
    firm: Firm, first: str, second: str
) -> None:
    alice = firm.alice
    arn = alice.deploy("moving", first)
    before = alice.say(arn)
    alice.bedrock.update_custom_model_deployment(customModelDeploymentIdentifier=arn, modelArn=second)
    get = lambda: alice.bedrock.get_custom_model_deployment(customModelDeploymentIdentifier="moving")  # noqa: E731
    wait(lambda: get()["updateDetails"], "UpdateCompleted", member="updateStatus")
    assert alice.say(arn) == alice.say("custom/second") != before
    with pytest.raises(ClientError) as error:
        alice.bedrock.delete_custom_model(modelIdentifier=second)
    assert refused(error)[0] == "ConflictException"
    alice.bedrock.delete_custom_model_deployment(customModelDeploymentIdentifier=arn)
    for ask in (*alice.ways(arn).values(), lambda: alice.counted(arn)):
        with pytest.raises(ClientError) as error:
            ask()
        assert refused(error)[0] == "ResourceNotFoundException"


def test_a_custom_model_is_asked_by_its_deployment_or_its_name_not_by_its_own_arn(firm: Firm, first: str) -> None:
    for ask in (*firm.alice.ways(first).values(), lambda: firm.alice.counted(first)):
        with pytest.raises(ClientError) as error:
            ask()
        assert refused(error)[0] == "ValidationException"
        assert "deployment" in refused(error)[1]


def test_a_model_that_no_engine_runs_fails_with_the_reason(firm: Firm) -> None:
    firm.alice.s3.put_object(Bucket="models", Key="nothing/README.md", Body=b"no model")
    made = firm.alice.bedrock.create_custom_model(
        modelName="nothing", modelSourceConfig={"s3DataSource": {"s3Uri": "s3://models/nothing/"}}
    )["modelArn"]
    get = lambda: firm.alice.bedrock.get_custom_model(modelIdentifier=made)  # noqa: E731
    failed = wait(get, "Failed", member="modelStatus")
    assert "neither a GGUF nor a safetensors file" in failed["failureMessage"]
    assert not firm.company.alice.repo_exists("custom/nothing")
    with pytest.raises(ClientError) as error:
        firm.alice.bedrock.create_custom_model_deployment(modelDeploymentName="nothing", modelArn=made)
    assert "cannot be served" in refused(error)[1]
    firm.alice.bedrock.delete_custom_model(modelIdentifier=made)


def test_an_adapter_from_a_repository_is_deployed_over_its_base(firm: Firm, tmp_path: Path) -> None:
    Lora(base_model_name_or_path="alice/tiny").save(tmp_path)
    firm.company.alice.create_repo("alice/tuned", private=True)
    firm.company.alice.upload_folder(repo_id="alice/tuned", folder_path=tmp_path)
    brought = firm.bring("tuned", "hf://alice/tuned")
    assert (
        firm.alice.bedrock.get_custom_model(modelIdentifier="tuned")["modelArn"] == brought
    )  # though its base is known
    arn = firm.alice.deploy("tuned", brought)
    assert firm.alice.say(arn) == firm.alice.say("alice/tuned") != firm.alice.say("alice/tiny")


def test_nobody_sees_or_asks_another_accounts(firm: Firm, first: str, deployed: str) -> None:
    bob = firm.bob
    for ask in (
        lambda: bob.bedrock.get_custom_model(modelIdentifier=first),
        lambda: bob.bedrock.get_custom_model(modelIdentifier="first"),
        lambda: bob.bedrock.create_custom_model_deployment(modelDeploymentName="mine", modelArn=first),
        lambda: bob.bedrock.get_custom_model_deployment(customModelDeploymentIdentifier=deployed),
        lambda: bob.bedrock.delete_custom_model_deployment(customModelDeploymentIdentifier=deployed),
        lambda: bob.bedrock.create_provisioned_model_throughput(
            modelId=first, modelUnits=1, provisionedModelName="mine"
        ),
        lambda: bob.bedrock.list_tags_for_resource(resourceARN=first),
        lambda: bob.say(deployed),
    ):
        with pytest.raises(ClientError) as error:
            ask()
        assert refused(error)[0] == "ResourceNotFoundException"
    assert bob.bedrock.list_custom_models()["modelSummaries"] == []
    assert bob.bedrock.list_custom_model_deployments()["modelDeploymentSummaries"] == []


def test_listings_are_filtered_sorted_and_paged(firm: Firm, first: str, second: str) -> None:
    listed = firm.alice.bedrock.list_custom_models
    ascending = [one["modelArn"] for one in listed(sortOrder="Ascending")["modelSummaries"]]
    assert ascending == [one["modelArn"] for one in listed()["modelSummaries"]][::-1]
    assert ascending.index(first) < ascending.index(second)
    pages = firm.alice.bedrock.get_paginator("list_custom_models").paginate(
        sortOrder="Ascending", PaginationConfig={"PageSize": 1}
    )
    assert [one["modelArn"] for page in pages for one in page["modelSummaries"]] == ascending
    assert [one["modelName"] for one in listed(nameContains="eco")["modelSummaries"]] == ["second"]
    assert listed(modelStatus="Failed")["modelSummaries"] == []
    created = firm.alice.bedrock.get_custom_model(modelIdentifier=first)["creationTime"]
    second_before, second_after = created - timedelta(seconds=1), created + timedelta(seconds=1)
    assert first not in [one["modelArn"] for one in listed(creationTimeBefore=second_before)["modelSummaries"]]
    assert first not in [one["modelArn"] for one in listed(creationTimeAfter=second_after)["modelSummaries"]]
    within = listed(creationTimeAfter=second_before, creationTimeBefore=second_after)["modelSummaries"]
    assert first in [one["modelArn"] for one in within]
    with pytest.raises(ClientError) as error:
        listed(nextToken="bm90aGluZw==")
    assert refused(error)[0] == "ValidationException"


def test_the_same_token_makes_one_deployment(firm: Firm, first: str) -> None:
    create = firm.alice.bedrock.create_custom_model_deployment
    asked = {"modelDeploymentName": "once", "modelArn": first, "clientRequestToken": "token-1"}
    assert create(**asked)["customModelDeploymentArn"] == create(**asked)["customModelDeploymentArn"]
    with pytest.raises(ClientError) as error:
        create(**asked | {"clientRequestToken": "token-2"})
    assert "in use" in refused(error)[1]


def test_tags_are_kept(firm: Firm, first: str) -> None:
    bedrock = firm.alice.bedrock
    bedrock.tag_resource(resourceARN=first, tags=[{"key": "team", "value": "a"}, {"key": "cost", "value": "1"}])
    bedrock.tag_resource(resourceARN=first, tags=[{"key": "team", "value": "b"}])
    bedrock.untag_resource(resourceARN=first, tagKeys=["cost"])
    assert bedrock.list_tags_for_resource(resourceARN=first)["tags"] == [{"key": "team", "value": "b"}]


def test_what_is_provisioned_stays_loaded_with_its_own_capacity_until_it_is_deleted(firm: Firm, second: str) -> None:
    alice = firm.alice
    made = alice.bedrock.create_provisioned_model_throughput(
        modelId=second, modelUnits=2, provisionedModelName="reserved", commitmentDuration="OneMonth"
    )
    arn = made["provisionedModelArn"]
    get = lambda: alice.bedrock.get_provisioned_model_throughput(provisionedModelId=arn)  # noqa: E731
    found = wait(get, "InService")
    assert found["modelUnits"] == 2
    assert found["commitmentExpirationTime"] > found["creationTime"]
    assert {way() for way in alice.ways(arn).values()} == {alice.say("custom/second")}
    assert alice.counted(arn) == alice.counted("custom/second")
    wait_until(lambda: _concurrencies(firm) == {4})  # two units of two requests at once; the others were idle
    alice.bedrock.update_provisioned_model_throughput(
        provisionedModelId=arn, desiredProvisionedModelName="renamed", desiredModelId="alice/tiny"
    )
    moved = wait(get, "InService")
    assert moved["provisionedModelName"] == "renamed"
    assert moved["modelArn"].endswith("foundation-model/alice/tiny")
    assert alice.say(arn) == alice.say("alice/tiny")
    alice.bedrock.delete_provisioned_model_throughput(provisionedModelId=arn)
    with pytest.raises(ClientError) as error:
        alice.say(arn)
    assert refused(error)[0] == "ResourceNotFoundException"
    wait_until(lambda: _concurrencies(firm) == set())


def test_after_a_crash_what_is_provisioned_is_loaded_again_and_what_is_deployed_answers(
    firm: Firm, deployed: str, second: str
) -> None:
    """The last one: it ends the server."""
    asked = {"modelId": second, "modelUnits": 2, "provisionedModelName": "kept"}
    arn = firm.alice.bedrock.create_provisioned_model_throughput(**asked)["provisionedModelArn"]
    wait(lambda: firm.alice.bedrock.get_provisioned_model_throughput(provisionedModelId=arn), "InService")
    said = [firm.alice.say(model) for model in (arn, deployed)]
    before = firm.company.server
    before.process.kill()
    before.process.wait()
    with serving(before.home) as server:
        firm.company.server = server
        wait_until(lambda: _concurrencies(firm) == {4})  # nobody has asked
        alice = Clients(server, firm.alice.token)
        assert [alice.say(model) for model in (arn, deployed)] == said


def _concurrencies(firm: Firm) -> set[int]:
    """Of the loaded models."""
    with firm.company.server.client() as http:
        return {one["concurrency"] for one in http.get("/api/craton/v1/status").json()["loaded"]}
