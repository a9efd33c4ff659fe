"""A model of one's own with unmodified boto3: records into a bucket, a customization job, a deployment that answers.

    craton exec -- python examples/customization.py

The records are pairs in the style of a help desk, made from Python's own documentation: 300 of them take some minutes
on two cores. What is held out says how much better the tuned model knows the style.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import inspect
import io
import json
import time
from collections.abc import Iterator

import boto3

MODULES = (
    "math os os.path json re itertools functools collections random statistics shutil textwrap string datetime time "
    "glob fnmatch bisect heapq copy calendar pathlib socket subprocess tempfile threading urllib.parse zipfile csv"
)
ROLE = "arn:aws:iam::123456789012:role/customization"
QUESTION = "What does statistics.harmonic_mean do?"
HELD_OUT = {"statistics.harmonic_mean"}


def pairs() -> Iterator[dict[str, str]]:
    """Each function's first line of documentation, asked for and answered as a help desk would."""
    for module in MODULES.split():
        for name, member in inspect.getmembers(importlib.import_module(module), callable):
            line = (inspect.getdoc(member) or "").partition("\n")[0].strip()
            if name.startswith("_") or not line.endswith(".") or f"{module}.{name}" in HELD_OUT:
                continue
            yield {
                "prompt": f"What does {module}.{name} do?",
                "completion": f"Happy to help! {module}.{name}: {line} Anything else?",
            }


def lines(records: list[dict[str, str]]) -> bytes:
    return "\n".join(json.dumps(record) for record in records).encode()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", default="smollm2-135m-instruct")
    parser.add_argument("--pairs", type=int, default=300)
    parser.add_argument("--epochs", type=int, default=2)
    asked = parser.parse_args()

    known = list(pairs())
    chosen = known[:: max(1, len(known) // asked.pairs)][: asked.pairs]
    held = chosen[::10]
    training = [record for record in chosen if record not in held]

    s3 = boto3.client("s3")
    bedrock = boto3.client("bedrock")
    name = f"help-desk-{int(time.time())}"
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="train.jsonl", Body=lines(training))
    s3.put_object(Bucket=name, Key="held-out.jsonl", Body=lines(held))

    job = bedrock.create_model_customization_job(
        jobName=name,
        customModelName=name,
        roleArn=ROLE,
        baseModelIdentifier=asked.base,
        customizationType="FINE_TUNING",
        trainingDataConfig={"s3Uri": f"s3://{name}/train.jsonl"},
        validationDataConfig={"validators": [{"s3Uri": f"s3://{name}/held-out.jsonl"}]},
        outputDataConfig={"s3Uri": f"s3://{name}/out/"},
        hyperParameters={"epochCount": str(asked.epochs), "learningRate": "0.001", "maxLength": "256"},
    )["jobArn"]
    print(f"{len(training)} pairs to train, {len(held)} held out")
    tuned = finished(lambda: bedrock.get_model_customization_job(jobIdentifier=job), "Completed")
    for key in ("training_artifacts/step_wise_training_metrics.csv", VALIDATION):
        rows = read_csv(s3, name, f"out/model-customization-job-{job.rpartition('/')[2]}/{key}")
        print(f"{key.rpartition('/')[2]}: from {rows[0]['perplexity']} to {rows[-1]['perplexity']}")

    deployment = bedrock.create_custom_model_deployment(modelDeploymentName=name, modelArn=tuned["outputModelArn"])
    arn = deployment["customModelDeploymentArn"]
    finished(lambda: bedrock.get_custom_model_deployment(customModelDeploymentIdentifier=arn), "Active")
    for model in (asked.base, arn):
        print(f"{model.rpartition('/')[2]}: {answer(model)}")

    bedrock.delete_custom_model_deployment(customModelDeploymentIdentifier=arn)
    bedrock.delete_custom_model(modelIdentifier=tuned["outputModelArn"])
    for found in s3.list_objects_v2(Bucket=name)["Contents"]:
        s3.delete_object(Bucket=name, Key=found["Key"])
    s3.delete_bucket(Bucket=name)
    print("cleaned up")


VALIDATION = "validation_artifacts/post_fine_tuning_validation/validation_metrics.csv"


def finished(get, status: str) -> dict:
    """Asks until it is so. Raises RuntimeError when it ended otherwise."""
    while (found := get())["status"] not in {status, "Failed", "Stopped"}:
        time.sleep(1)
    if found["status"] != status:
        raise RuntimeError(found.get("failureMessage", found["status"]))
    return found


def read_csv(s3, bucket: str, key: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode())))


def answer(model: str) -> str:
    said = boto3.client("bedrock-runtime").converse(
        modelId=model,
        messages=[{"role": "user", "content": [{"text": QUESTION}]}],
        inferenceConfig={"maxTokens": 60, "temperature": 0},
    )
    return said["output"]["message"]["content"][0]["text"].strip()


if __name__ == "__main__":
    main()
