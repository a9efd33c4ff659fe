"""Embeddings: Craton's engine against sentence-transformers and transformers, on the same texts in one run.

    python -m bench embeddings [--model FOLDER] [--texts corpus.jsonl] [--peer-python OTHER/bin/python]

Each side loads once, in a process of its own, and then the sides take turns round by round while the others wait, so
that a busy machine slows all alike; the ratios are medians over rounds. The peers' Python needs torch and
sentence-transformers. docs/s counts from texts to vectors, tokenizing included.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import numpy as np

Embed = Callable[[list[str]], "np.ndarray[Any, Any]"]
SIDES = ("craton", "sentence-transformers", "transformers-bf16")
CONTROL = "sentence-transformers"
STARTERS = Path("build/starters")


def main(given: list[str] | None = None) -> None:
    arguments = _arguments(given)
    if arguments.side:
        _serve(arguments.side, arguments.model, arguments.threads)
        return
    from tests.fetch_starters import main as fetch_starters  # the peers' Python has neither Craton nor its tests

    fetch_starters(STARTERS)
    texts = _texts(arguments.texts, arguments.count)
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(_compare(arguments, texts, Path(folder)), indent=2))


def _arguments(given: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--model",
        type=Path,
        default=STARTERS / "all-MiniLM-L6-v2",
        help="folder of the model (config.json, safetensors ...); default: the starter",
    )
    parser.add_argument("--texts", type=Path, help="JSON lines with title and text; default: packages' descriptions")
    parser.add_argument("--peer-python", default=sys.executable)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    return parser.parse_args(given)


def _texts(corpus: Path | None, count: int) -> list[str]:
    if corpus is not None:
        documents = map(json.loads, corpus.read_text().splitlines()[:count])
        return [f"{document['title']} {document['text']}" for document in documents]
    words = " ".join(str(found.metadata["Description"] or "") for found in distributions()).split()
    pieces = [" ".join(words[start : start + 200]) for start in range(0, len(words), 200)]
    return pieces[:count]


# --- the parent -----------------------------------------------------------------------------------------------


def _compare(arguments: argparse.Namespace, texts: list[str], folder: Path) -> dict[str, Any]:
    (folder / "texts.json").write_text(json.dumps(texts))
    with (
        _child("craton", sys.executable, arguments) as craton,
        _child(CONTROL, arguments.peer_python, arguments) as plain,
        _child("transformers-bf16", arguments.peer_python, arguments) as half,
    ):
        sides = {"craton": craton, CONTROL: plain, "transformers-bf16": half}
        rounds: dict[str, list[float]] = {side: [] for side in sides}
        for turn in range(arguments.rounds):
            for side in list(sides)[:: 1 if turn % 2 else -1]:
                rounds[side].append(_ask(sides[side], {"do": "embed", "folder": str(folder), "side": side}))
        single = {side: _ask(process, {"do": "single", "folder": str(folder)}) for side, process in sides.items()}
    vectors = {side: np.load(folder / f"{side}.npy") for side in sides}
    return {
        "texts": len(texts),
        "docs_per_second": {side: round(len(texts) / statistics.median(rounds[side]), 1) for side in sides},
        "ratio": {
            f"craton / {side}": _spread([b / a for a, b in zip(rounds["craton"], rounds[side], strict=True)])
            for side in SIDES[1:]
        },
        "cosine_to_fp32": {side: _cosine(vectors[side], vectors[CONTROL]) for side in sides if side != CONTROL},
        "single_query_p50_ms": {side: round(1000 * seconds, 2) for side, seconds in single.items()},
    }


def _spread(ratios: list[float]) -> dict[str, float]:
    return {"median": round(statistics.median(ratios), 2), "min": round(min(ratios), 2), "max": round(max(ratios), 2)}


def _cosine(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> dict[str, float]:
    cosines = (one.astype(np.float64) * other).sum(1)
    return {"mean": round(float(cosines.mean()), 6), "min": round(float(cosines.min()), 6)}


@contextmanager
def _child(side: str, python: str, arguments: argparse.Namespace) -> Iterator[subprocess.Popen[str]]:
    # -P: this folder is not on the path, where a module of ours could hide one of theirs.
    command = [
        python,
        "-P",
        __file__,
        "--side",
        side,
        "--model",
        str(arguments.model),
        "--threads",
        str(arguments.threads),
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            assert process.stdin is not None
            process.stdin.close()


def _ask(process: subprocess.Popen[str], question: dict[str, str]) -> float:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(question) + "\n")
    process.stdin.flush()
    answer = process.stdout.readline()
    if not answer:
        raise SystemExit("a side ended before its answer; its error stands above")
    return float(answer)


# --- a side ---------------------------------------------------------------------------------------------------


def _serve(side: str, model: Path, threads: int) -> None:
    """Answers each line on stdin with the seconds that the work took."""
    if side == "craton":
        with asyncio.Runner() as runner:
            _answer(_craton(model, threads, runner))
    elif side == CONTROL:
        _answer(_sentence_transformers(model, threads))
    else:
        _answer(_transformers(model, threads))


def _answer(embed: Embed) -> None:
    embed(["warm up"] * 64)
    for line in sys.stdin:
        question = json.loads(line)
        texts = json.loads((Path(question["folder"]) / "texts.json").read_text())
        if question["do"] == "single":
            seconds = [_timed(embed, [f"What is known about {text[:40]}?"])[0] for text in texts[:100]]
            print(statistics.median(seconds), flush=True)
        else:
            elapsed, vectors = _timed(embed, texts)
            np.save(Path(question["folder"]) / f"{question['side']}.npy", vectors)
            print(elapsed, flush=True)


def _timed(embed: Embed, texts: list[str]) -> tuple[float, np.ndarray[Any, Any]]:
    start = time.perf_counter()
    vectors = embed(texts)
    return time.perf_counter() - start, vectors


def _craton(model: Path, threads: int, runner: asyncio.Runner) -> Embed:
    from craton.core.model import EmbedRequest, ModelInfo
    from craton.engines.bert import BertEngine
    from craton.engines.protocol import EngineSpec

    files = {str(path.relative_to(model)): str(path) for path in model.rglob("*") if path.is_file()}
    info = ModelInfo(id="m", verbs=("embed",), engine="bert")
    engine = BertEngine.load(EngineSpec("bert", "m", info, files, {"threads": threads}))

    def embed(texts: list[str]) -> np.ndarray[Any, Any]:
        answer = runner.run(engine.embed(EmbedRequest("m", tuple(texts), truncate=True)))
        return np.frombuffer(answer.vectors, dtype="<f4").reshape(len(texts), answer.dimensions)

    return embed


def _sentence_transformers(model: Path, threads: int) -> Embed:
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(threads)
    encoder = SentenceTransformer(str(model), device="cpu")

    def embed(texts: list[str]) -> np.ndarray[Any, Any]:
        return np.asarray(encoder.encode(texts, batch_size=32, normalize_embeddings=True, show_progress_bar=False))

    return embed


def _transformers(model: Path, threads: int) -> Embed:
    """transformers' BertModel in bf16 with mean pooling, length-sorted batches of 32 as sentence-transformers has."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    torch.set_num_threads(threads)
    tokenizer = AutoTokenizer.from_pretrained(str(model))
    encoder = AutoModel.from_pretrained(str(model), dtype=torch.bfloat16).eval()

    def embed(texts: list[str]) -> np.ndarray[Any, Any]:
        order = sorted(range(len(texts)), key=lambda index: -len(texts[index]))
        vectors = np.empty((len(texts), encoder.config.hidden_size), dtype=np.float32)
        for start in range(0, len(order), 32):
            part = order[start : start + 32]
            chosen = [texts[index] for index in part]
            batch = tokenizer(chosen, padding=True, truncation=True, max_length=256, return_tensors="pt")
            with torch.inference_mode():
                state = encoder(**batch).last_hidden_state.float()
            mask = batch["attention_mask"].unsqueeze(2).float()
            pooled = torch.nn.functional.normalize((state * mask).sum(1) / mask.sum(1), dim=1)
            vectors[part] = pooled.numpy()
        return vectors

    return embed


if __name__ == "__main__":
    main()
