"""Models in Hugging Face's format, brought in by unmodified boto3. Their numbers: test_architectures.py."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from tests.app.collaborating import company
from tests.customizing.clients import ROLE, Clients, wait
from tests.tiny_models import build

pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

CONFIG = "[server]\nidle = 2\n[engines.llama_cpp]\nthreads = 1\nparallel = 2\n"


@dataclass
class Importers:
    alice: Clients
    bob: Clients
    folder: Path
    home: Path

    def upload(self, name: str, **build_options: Any) -> str:
        folder = build(name, self.folder / name, **build_options)
        for path in sorted(folder.iterdir()):
            self.alice.s3.upload_file(str(path), "models", f"{name}/{path.name}")
        return f"s3://models/{name}/"

    def start(self, name: str, source: str) -> str:
        made = self.alice.bedrock.create_model_import_job(
            jobName=f"job-{name}",
            importedModelName=name,
            roleArn=ROLE,
            modelDataSource={"s3DataSource": {"s3Uri": source}},
            importedModelTags=[{"key": "team", "value": "red"}],
        )
        return str(made["jobArn"])

    def bring(self, name: str, source: str) -> Any:
        arn = self.start(name, source)
        return wait(lambda: self.alice.bedrock.get_model_import_job(jobIdentifier=arn), "Completed")


@pytest.fixture(scope="module")
def importers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Importers]:
    home = tmp_path_factory.mktemp("importers") / "home"
    with company(home, CONFIG) as running:
        alice, bob = (Clients(running.server, str(api.token)) for api in (running.alice, running.bob))
        alice.s3.create_bucket(Bucket="models")
        yield Importers(alice, bob, tmp_path_factory.mktemp("folders"), home)


def test_an_imported_model_answers_its_owner_with_the_originals_numbers_until_it_is_deleted(
    importers: Importers,
) -> None:
    alice = importers.alice
    job = importers.bring("deepseek", importers.upload("deepseek_v3"))
    arn = job["importedModelArn"]
    model = alice.bedrock.get_imported_model(modelIdentifier=arn)
    assert model["modelArchitecture"] == "deepseek2"
    assert model["instructSupported"] is True
    assert model["jobArn"] == job["jobArn"]
    tags = alice.bedrock.list_tags_for_resource(resourceARN=arn)["tags"]
    assert tags == [{"key": "team", "value": "red"}]

    said = alice.say(arn, "The quick brown fox", tokens=4)
    body = json.dumps({"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 3})
    assert alice.runtime.invoke_model(modelId=arn, body=body)["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert said == alice.say("imported/deepseek", "The quick brown fox", tokens=4)

    bob = importers.bob
    assert bob.bedrock.list_imported_models()["modelSummaries"] == []
    assert bob.bedrock.list_model_import_jobs()["modelImportJobSummaries"] == []
    for call in (
        lambda: bob.bedrock.get_imported_model(modelIdentifier=arn),
        lambda: bob.bedrock.get_model_import_job(jobIdentifier=job["jobArn"]),
        lambda: bob.say(arn),
        lambda: importers.start("deepseek", "s3://models/deepseek_v3/"),  # the name is taken
    ):
        with pytest.raises(ClientError):
            call()
    assert [model["modelName"] for model in alice.bedrock.list_imported_models()["modelSummaries"]] == ["deepseek"]
    alice.bedrock.delete_imported_model(modelIdentifier=arn)
    for gone in (arn, "imported/deepseek"):
        with pytest.raises(ClientError):
            alice.say(gone)


def test_what_cannot_be_brought_in_says_why_and_leaves_nothing(importers: Importers) -> None:
    alice = importers.alice
    alice.s3.put_object(Bucket="models", Key="pickled/pytorch_model.bin", Body=b"\x80\x04")
    alice.s3.put_object(Bucket="models", Key="pickled/config.json", Body=b'{"model_type": "llama"}')
    alice.s3.put_object(Bucket="models", Key="cut/model.safetensors", Body=b"\xff" * 40)
    alice.s3.put_object(Bucket="models", Key="cut/config.json", Body=b'{"architectures": ["LlamaForCausalLM"]}')
    for name, reason in (("pickled", "pickle"), ("cut", "header"), ("nothing", "no model in the bucket")):
        arn = importers.start(name, f"s3://models/{name}/")
        failed = wait(lambda arn=arn: alice.bedrock.get_model_import_job(jobIdentifier=arn), "Failed")
        assert reason in failed["failureMessage"]
        with pytest.raises(ClientError, match="imported model"):
            alice.bedrock.get_imported_model(modelIdentifier=name)
        with pytest.raises(ClientError):
            alice.say(f"imported/{name}")
    listed = alice.bedrock.list_model_import_jobs(statusEquals="Failed")["modelImportJobSummaries"]
    assert {job["importedModelName"] for job in listed} == {"pickled", "cut", "nothing"}


@pytest.mark.slow
def test_what_llama_cpp_is_not_given_runs_on_the_transformers_engine(importers: Importers) -> None:
    from tests.tiny_models import VOCABULARY, byte_level

    folder = importers.folder / "neox"
    config = transformers.GPTNeoXConfig(
        vocab_size=VOCABULARY, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=48
    )
    transformers.GPTNeoXForCausalLM(config).save_pretrained(folder)
    byte_level("gpt-2").save(str(folder / "tokenizer.json"))
    for path in sorted(folder.iterdir()):
        importers.alice.s3.upload_file(str(path), "models", f"neox/{path.name}")
    job = importers.bring("neox", "s3://models/neox/")
    assert importers.alice.bedrock.get_imported_model(modelIdentifier="neox")["modelArchitecture"] == "gpt_neox"
    assert importers.alice.say(job["importedModelArn"]) == importers.alice.say("imported/neox")


def test_a_killed_import_goes_on(importers: Importers) -> None:
    """kill -9 while it fetches: the next process finishes in the same folder, and one model is made."""
    alice, place = importers.alice, importers.home / "importing"
    source = importers.upload("mistral")
    alice.s3.put_object(Bucket="models", Key="mistral/notes.txt", Body=b"x" * (24 << 20))
    arn = importers.start("killed", source)
    give_up = time.monotonic() + 30
    while not (found := _process(place)) and time.monotonic() < give_up:
        time.sleep(0.002)
    assert found, "the import was over before it could be killed"
    os.kill(found, signal.SIGKILL)
    job = wait(lambda: alice.bedrock.get_model_import_job(jobIdentifier=arn), "Completed")
    assert alice.say(job["importedModelArn"], tokens=2) == alice.say("imported/killed", tokens=2)
    assert not list(place.iterdir())


@pytest.mark.slow
def test_a_custom_model_is_copied_and_quantised_under_other_names(importers: Importers) -> None:
    alice = importers.alice
    arn = str(
        alice.bedrock.create_custom_model(
            modelName="first", roleArn=ROLE, modelSourceConfig={"s3DataSource": {"s3Uri": importers.upload("gpt2")}}
        )["modelArn"]
    )
    wait(lambda: alice.bedrock.get_custom_model(modelIdentifier=arn), "Active", member="modelStatus")
    job = alice.bedrock.create_model_copy_job(sourceModelArn=arn, targetModelName="second")["jobArn"]
    copied = alice.bedrock.get_model_copy_job(jobArn=job)
    assert copied["status"] == "Completed"
    assert copied["sourceModelName"] == "first"
    assert alice.say("custom/second") == alice.say("custom/first")
    _quantise_by_the_native_api(alice, "custom/first")
    alice.bedrock.delete_custom_model(modelIdentifier="first")
    deployed = alice.deploy("copy", copied["targetModelArn"])
    assert alice.say(deployed) == alice.say("custom/second")
    assert len(alice.bedrock.list_model_copy_jobs(sourceModelArnEquals=arn)["modelCopyJobSummaries"]) == 1
    with pytest.raises(ClientError):
        importers.bob.bedrock.create_model_copy_job(sourceModelArn=copied["targetModelArn"], targetModelName="mine")


def _quantise_by_the_native_api(alice: Clients, model: str) -> None:
    url, key = f"{alice.runtime.meta.endpoint_url}/api/craton/v1", {"authorization": f"Bearer {alice.token}"}
    order = {"model": model, "to": "q8_0", "name": "alice/exact-q8", "tokens": 32}
    job = httpx.post(f"{url}/quantisations", json=order, headers=key).json()
    done = wait(lambda: httpx.get(f"{url}/jobs/{job['id']}", headers=key).json(), "succeeded")
    assert done["result"]["model"] == "alice/exact-q8"
    assert done["result"]["after"]["size"] < done["result"]["before"]["size"]
    assert alice.say("alice/exact-q8", tokens=2)
    for wrong in ({"to": "q3"}, {"model": "imported/nothing"}, {"name": "nameless"}, {"tokens": 1}, {"more": 1}):
        assert httpx.post(f"{url}/quantisations", json=order | wrong, headers=key).status_code in {400, 404}


def _process(place: Path) -> int:
    """The process of the import whose folder is there; 0 for none yet."""
    for folder in place.glob("*/*"):
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                if folder.parent.name.encode() in entry.read_bytes().split(b"\0"):
                    return int(entry.parent.name)
    return 0
