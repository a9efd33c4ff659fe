"""Every kind of customization: what is asked for, and what must come of it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

from tests.customizing.clients import wait
from tests.customizing.firm import QUICK, TRAINING, VALIDATION, Firm, opened

CONFIG = """
[training]
code = true

[outgoing]
allow = ["127.0.0.1/32"]

[engines.llama_cpp]
threads = 1
"""
PROMPTS = [{"prompt": f"How is fox number {number}?"} for number in range(8)]
FIT = QUICK | {"maxSteps": "2", "batchSize": "2", "evalPercentage": "25", "learningRate": "0.02"}
COMPARED = {name: value for name, value in FIT.items() if name != "packing"}  # where TRL's loop learns
REWARDED = COMPARED | {"trainingSamplePerPrompt": "4", "inferenceMaxTokens": "4", "maxSteps": "1"}
GRADER = "def grade(prompt, answer, record):\n    return sum(answer.encode()) % 97 / 97\n"
"""No two answers are worth the same: where all are, there is nothing to learn."""
JUDGE = "smollm2-135m-instruct"
"""The tiny base has no room for what a judge is told."""
TEACHER = {"distillationConfig": {"teacherModelConfig": {"teacherModelIdentifier": "echo"}}}
"""The echo model: it answers what it was asked."""


class Grader(BaseHTTPRequestHandler):
    """Rewards as the function does; keeps what came in."""

    seen: list[Any]

    def do_POST(self) -> None:
        samples = json.loads(self.rfile.read(int(self.headers["content-length"])))["samples"]
        self.seen += samples
        body = json.dumps({"scores": [sum(sample["answer"].encode()) % 97 / 97 for sample in samples]}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None: ...


@contextmanager
def grading() -> Iterator[tuple[str, list[Any]]]:
    """The address of a grader, and the samples that came there."""
    seen: list[Any] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Grader,), {"seen": seen}))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/grade", seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Kind(NamedTuple):
    """kind: its customizationType. records: a key in the bucket. beside, measured: columns of its files."""

    kind: str
    records: str
    given: dict[str, str]
    beside: str = "perplexity"
    measured: str = "validation_loss"
    teacher: bool = False


def kinds(address: str) -> dict[str, Kind]:
    """By name. address: of the grader that is asked by HTTP. The judged kind wants the starter models."""
    rft, rewarded = "REINFORCEMENT_FINE_TUNING", ("mean_reward", "validation_reward")
    judged = {"graderJudge": JUDGE, "graderInstruction": "Be kind."}
    preferring = COMPARED | {"objective": "preferences"}
    return {
        "texts": Kind("CONTINUED_PRE_TRAINING", "texts.jsonl", FIT),
        "taught": Kind("DISTILLATION", "prompts.jsonl", FIT, teacher=True),
        "logged": Kind("DISTILLATION", "logs/", FIT, teacher=True),
        "preferred": Kind("FINE_TUNING", "pairs.jsonl", preferring, "reward_margin"),
        "function": Kind(rft, "prompts.jsonl", REWARDED | {"graderPython": "s3://records/grader.py"}, *rewarded),
        "address": Kind(rft, "prompts.jsonl", REWARDED | {"graderUrl": address}, *rewarded),
        "judged": Kind(rft, "prompts.jsonl", REWARDED | judged, *rewarded),
    }


@contextmanager
def supplied(folder: Path) -> Iterator[Firm]:
    """A firm with records of every kind in its bucket."""
    with opened(folder, CONFIG) as firm:
        firm.put("prompts.jsonl", PROMPTS)
        firm.put("texts.jsonl", [{"input": f"The quick brown fox {number} jumps over it. " * 4} for number in range(8)])
        firm.put("logs/2026.json", [invocation(number) for number in range(8)])
        firm.put("pairs.jsonl", [one | {"chosen": "Fine, thanks.", "rejected": "No idea."} for one in PROMPTS])
        firm.alice.s3.put_object(Bucket="records", Key="grader.py", Body=GRADER.encode())
        yield firm


def start(firm: Firm, name: str, asked: Kind) -> str:
    """The job's ARN."""
    uri = f"s3://records/{asked.records}"
    logs = {"usePromptResponse": True, "invocationLogSource": {"s3Uri": uri}}
    data = {"invocationLogsConfig": logs} if asked.records.endswith("/") else {"s3Uri": uri}
    more = {"customizationConfig": TEACHER} if asked.teacher else {}
    return firm.create(name, customizationType=asked.kind, trainingDataConfig=data, hyperParameters=asked.given, **more)


def check(firm: Firm, name: str, arn: str, asked: Kind) -> tuple[float, float]:
    """That it ends with its curves and its model. What was measured on what was held out, before and after."""
    job = wait(lambda: firm.get(arn), "Completed")
    assert job["customizationType"] == asked.kind
    assert {part["status"] for part in job["statusDetails"].values()} == {"Completed"}
    rows = firm.csv(arn, TRAINING)
    assert list(rows[0]) == ["step_number", "epoch_number", "training_loss", asked.beside]
    assert [int(row["step_number"]) for row in rows] == list(range(int(asked.given["maxSteps"])))
    assert all(row[asked.beside] for row in rows)
    held = firm.csv(arn, VALIDATION)
    assert list(held[0])[:3] == ["step_number", "epoch_number", asked.measured]
    assert held[0]["step_number"] == "0"
    assert int(held[-1]["step_number"]) == len(rows)
    model = firm.alice.bedrock.get_custom_model(modelIdentifier=job["outputModelArn"])
    assert (model["modelName"], model["jobArn"], model["customizationType"]) == (name, arn, asked.kind)
    assert model["trainingMetrics"] == job["trainingMetrics"]
    return float(held[0][asked.measured]), float(held[-1][asked.measured])


def invocation(number: int) -> Any:
    """An entry of a log, as Bedrock writes one of Converse."""
    asked = {"messages": [{"role": "user", "content": [{"text": f"How is fox number {number}?"}]}]}
    answered = {"message": {"role": "assistant", "content": [{"text": "It is quick and brown."}]}}
    return {
        "schemaType": "ModelInvocationLog",
        "schemaVersion": "1.0",
        "operation": "Converse",
        "modelId": "somebody.else-v1:0",
        "input": {"inputContentType": "application/json", "inputBodyJson": asked},
        "output": {"outputBodyJson": {"output": answered, "stopReason": "end_turn"}},
    }
