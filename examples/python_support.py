"""Support-style questions and answers about Python, made on the spot from Python's own documentation.

    python examples/python_support.py support.jsonl

Each line is a prompt and its completion, as Bedrock's and OpenAI's fine-tuning take them. The answers are the first
paragraph of what `help()` says, in one fixed style, so that a tuned model can be told from its base by looking.
"""

from __future__ import annotations

import importlib
import inspect
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

MODULES = (
    *("builtins", "os", "os.path", "shutil", "pathlib", "json", "csv", "re", "string", "textwrap", "datetime", "time"),
    *("calendar", "math", "statistics", "random", "itertools", "functools", "collections", "heapq", "bisect", "copy"),
    *("subprocess", "threading", "queue", "asyncio", "logging", "argparse", "tempfile", "glob", "hashlib", "base64"),
    *(
        "zlib",
        "gzip",
        "zipfile",
        "tarfile",
        "sqlite3",
        "socket",
        "ssl",
        "urllib.parse",
        "urllib.request",
        "http.client",
    ),
)
MOST = 300
LONGEST = 400  # characters of an answer
ASKED = ("What does {name} do?", "How do I use {name} in Python?", "Explain {name} to me, please.")


def pairs() -> Iterator[dict[str, str]]:
    """One for each documented function or class, module by module."""
    for module in MODULES:
        for name, thing in sorted(vars(importlib.import_module(module)).items()):
            if name.startswith("_") or not (inspect.isroutine(thing) or inspect.isclass(thing)):
                continue
            if inspect.isclass(thing) and issubclass(thing, BaseException):
                continue
            said = first_paragraph(inspect.getdoc(thing) or "")
            if len(said) < 40:
                continue
            full = name if module == "builtins" else f"{module}.{name}"
            number = sum(map(ord, full))
            answer = f"Ticket: {full}\nAnswer: {said}\nNext step: run help({full}) for the rest."
            yield {"prompt": ASKED[number % len(ASKED)].format(name=full), "completion": answer}


def first_paragraph(text: str) -> str:
    """Without the signature that some begin with, in one line, whole sentences as far as they fit."""
    paragraphs = [" ".join(part.split()) for part in text.split("\n\n")]
    sentences = [part for part in paragraphs if re.match(r"[A-Z][a-z]+ [a-z]", part)]
    if not sentences:
        return ""
    return sentences[0] if len(sentences[0]) <= LONGEST else sentences[0][:LONGEST].rpartition(". ")[0] + "."


def main() -> None:
    found = {pair["completion"]: pair for pair in pairs()}
    step = max(1.0, len(found) / MOST)
    chosen = [[*found.values()][int(number * step)] for number in range(min(MOST, len(found)))]
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "support.jsonl")
    target.write_text("".join(json.dumps(pair) + "\n" for pair in chosen), "utf-8")
    print(f"{len(chosen)} pairs in {target}")


if __name__ == "__main__":
    main()
