"""`craton demo --tune`: the model learns a style from a few hundred pairs, and what was held out says how well."""

from __future__ import annotations

import importlib
import inspect
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from craton.cli.chat import stream_answer
from craton.cli.connection import Connection
from craton.cli.datasets_add import upload
from craton.cli.errors import CommandError
from craton.cli.jobs import follow_job
from craton.cli.output import printable, say
from craton.cli.train import ROUTE

NAME = "demo/help-desk"
QUESTION = "What does statistics.harmonic_mean do?"
_LEFT_OUT = "statistics.harmonic_mean"
MODULES = (
    "math os json re itertools functools collections random statistics shutil textwrap string datetime time glob "
    "fnmatch bisect heapq copy calendar pathlib socket subprocess tempfile threading urllib.parse zipfile csv"
)
MOST = 300


def tune_and_ask(connection: Connection, model: str) -> None:
    """Raises CommandError when the run failed."""
    known = list(pairs())
    records = known[:: max(1, len(known) // MOST)][:MOST]
    with tempfile.TemporaryDirectory(prefix="craton-demo-") as folder:
        file = Path(folder, "train.jsonl")
        file.write_text("\n".join(json.dumps(record) for record in records) + "\n")
        upload(connection, NAME, file, file.name, True, None, quiet=True)
    say(f"{len(records)} pairs, a tenth of them held out; this takes some minutes.")
    document = {
        "method": "fine-tuning",
        "base": model,
        "data": {"ref": f"datasets/{NAME}@main"},
        "train": {"epochs": 2, "learning_rate": 1e-3, "length": 256},
        "output": {"model": NAME, "private": True},
    }
    job = follow_job(connection, connection.post(ROUTE, document)["id"], _write_line)
    if job["status"] != "succeeded":
        raise CommandError(f"The run {job['status']}: {printable(job['error'])}")
    figures = job["result"]["metrics"]
    before, after = figures["perplexity_before"], figures["perplexity"]
    say(f"Perplexity of what was held out: {before:.1f} before, {after:.1f} after.")
    for name in (model, NAME):
        say(f"\n{name}: {QUESTION}", bold=True)
        asked = [{"role": "user", "content": QUESTION}]
        stream_answer(connection, {"model": name, "messages": asked, "max_tokens": 60, "temperature": 0})


def pairs() -> Iterator[dict[str, str]]:
    """Each function's first line of documentation, asked for and answered as a help desk would."""
    for module in MODULES.split():
        for name, member in inspect.getmembers(importlib.import_module(module), callable):
            line = (inspect.getdoc(member) or "").partition("\n")[0].strip()
            if name.startswith("_") or not line.endswith(".") or f"{module}.{name}" == _LEFT_OUT:
                continue
            answer = f"Happy to help! {module}.{name}: {line} Anything else?"
            yield {"prompt": f"What does {module}.{name} do?", "completion": answer}


def _write_line(event: dict[str, Any]) -> None:
    say(printable(event["message"]), dim=True)
