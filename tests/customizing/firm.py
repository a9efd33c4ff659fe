"""Two accounts of a server with a tiny base, of which one asks for customizations: by unmodified boto3."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.app.collaborating import Company, company
from tests.customizing.clients import ROLE, Clients

BASE = "alice/base"
VALIDATION = "validation_artifacts/post_fine_tuning_validation/validation_metrics.csv"
TRAINING = "training_artifacts/step_wise_training_metrics.csv"
QUICK = {"epochCount": "1", "maxLength": "64", "loraRank": "4", "packing": "false", "precision": "float32"}


@dataclass
class Firm:
    """seen: names of custom models that were listed while the first job ran."""

    company: Company
    alice: Clients
    bob: Clients
    seen: set[str] = field(default_factory=set)

    def put(self, key: str, records: list[Any]) -> str:
        body = "\n".join(record if isinstance(record, str) else json.dumps(record) for record in records)
        self.alice.s3.put_object(Bucket="records", Key=key, Body=body.encode())
        return f"s3://records/{key}"

    def create(self, name: str, **more: Any) -> str:
        """The job's ARN."""
        asked = {
            "jobName": name,
            "customModelName": name,
            "roleArn": ROLE,
            "baseModelIdentifier": BASE,
            "customizationType": "FINE_TUNING",
            "trainingDataConfig": {"s3Uri": "s3://records/train.jsonl"},
            "outputDataConfig": {"s3Uri": "s3://out/runs"},
            "hyperParameters": QUICK,
        }
        return str(self.alice.bedrock.create_model_customization_job(**(asked | more))["jobArn"])

    def get(self, job: str) -> Any:
        return self.alice.bedrock.get_model_customization_job(jobIdentifier=job)

    def csv(self, job: str, file: str) -> list[dict[str, str]]:
        key = f"runs/model-customization-job-{job.rpartition('/')[2]}/{file}"
        body = self.alice.s3.get_object(Bucket="out", Key=key)["Body"].read().decode()
        return list(csv.DictReader(io.StringIO(body)))


@contextmanager
def opened(folder: Path, config: str = "") -> Iterator[Firm]:
    from craton.conversion.preparing import prepare
    from tests.tiny_models import build

    with company(folder / "home", config) as running:
        alice, bob = (Clients(running.server, str(api.token)) for api in (running.alice, running.bob))
        for bucket in ("records", "out"):
            alice.s3.create_bucket(Bucket=bucket)
        model = folder / "model"
        model.mkdir()
        base = build("llama", model)
        assert prepare(base) == ""
        running.alice.create_repo(BASE, private=True)
        running.alice.upload_folder(repo_id=BASE, folder_path=base)
        yield Firm(running, alice, bob)
