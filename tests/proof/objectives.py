"""Each method of tuning moves what it is about, on the starter model: measured on held-out data, before and after."""

from __future__ import annotations

import importlib
import inspect
import os
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from craton.core.chat import ChatRequest
from craton.training.protocol import Answer
from craton.training.tuning import trial
from tests.proof.report import Proof
from tests.servers import RunningServer, clean_environment, craton, serving

MODEL = "smollm2-135m-instruct"
STARTER = "SmolLM2-135M-Instruct.Q4_1.gguf"
BASE, STUDENT = f"{MODEL}@1", "student@1"
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TQDM_DISABLE": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
}
"""Threads that wait for each other sleep: the machine may be busy."""
SHARE = 0.25  # of the records, held out
SEED = 0
THINGS = (
    *("apple", "river", "engine", "violin", "bridge", "candle", "library", "garden", "mirror", "forest", "doctor"),
    *("kettle", "hammer", "pencil", "train", "window", "camera", "island", "market", "blanket", "teacher", "clock"),
)
DOCUMENTED = ("asyncio", "collections", "contextlib", "json", "os", "random", "shutil", "statistics")
CHARACTERS = 400  # of a docstring
GRADER = "def grade(prompt, answer, record):\n    return max(0.0, 1 - len(answer.split()) / 24)\n"
ABOUT = (
    f"What each is measured on was held out ({SHARE:.0%} of the records); before is the base. Adapters of rank 8 over "
    f"{MODEL}, but for distillation. Continued pre-training: docstrings of Python's own modules. Preferences "
    "(DPO): to describe a thing, a short answer is chosen and a long one rejected. Rewards (GRPO): a Python function "
    "rewards few words. Distillation: the teacher is the whole starter model, which is asked through a running server; "
    "the student is every second of its layers (as DistilBERT's was: Sanh and others, 2019, arXiv 1910.01108), all of "
    "whose weights learn."
)


class Teacher:
    """What a run asks beside its data: models of a running server, and whether functions may grade."""

    def __init__(self, server: RunningServer | None = None) -> None:
        self._server = server

    def allow_code(self) -> None: ...

    def pinned(self, model: str) -> str:
        return model

    def answers(self, requests: Iterable[ChatRequest]) -> Iterator[tuple[int, Answer]]:
        with ThreadPoolExecutor(4) as pool:
            yield from enumerate(pool.map(self._answer, requests))

    def _answer(self, request: ChatRequest) -> Answer:
        assert self._server is not None
        messages = [{"role": one.role, "content": one.text()} for one in request.messages]
        body = {"model": request.model, "messages": messages, "temperature": 0, "max_tokens": 48}
        with self._server.client() as client:
            choice = client.post("/v1/chat/completions", json=body).raise_for_status().json()["choices"][0]
        return Answer(choice["message"]["content"], "end_turn" if choice["finish_reason"] == "stop" else "max_tokens")


def prove(folder: Path) -> Proof:
    os.environ |= ENVIRONMENT
    from craton.training.tuning import learner, training

    learner.try_out = training.try_out = _untried
    base = folder / "base"
    base.mkdir()
    (base / STARTER).symlink_to(Path(os.environ["CRATON_TEST_STARTERS"]).resolve() / STARTER)
    proof = Proof("objectives", "Objectives of tuning on the starter model", ABOUT)
    for method in (_rewards, _pretraining, _distillation, _preferences):
        place = folder / method.__name__
        place.mkdir()
        began = time.process_time()
        method(proof, place, base)
        proof.note(f"{method.__name__[1:]} took", f"{time.process_time() - began:.0f} s of CPU")
    return proof


def _untried(_request: object, expected: float, *, rough: bool) -> trial.Answer:
    """Without the fresh process in which every result is tried: other tests and proofs are about that."""
    return trial.Answer(expected, 1.0)


def _pretraining(proof: Proof, folder: Path, base: Path) -> None:
    from craton.training.specification.tuning import ContinuedPretraining
    from craton.training.tuning import training

    texts = [{"text": text} for text in _docstrings()]
    spec = ContinuedPretraining(**_shared(), train=_fit(steps=8, batch=2, learning_rate=5e-4))
    found = _tuned(training.train, spec, texts, folder, base)
    _lower(proof, "continued pre-training: perplexity of docstrings", found, "perplexity")


def _preferences(proof: Proof, folder: Path, base: Path) -> None:
    from craton.training.specification.tuning import PreferenceTuning
    from craton.training.tuning import preference

    pairs = [
        {
            "prompt": f"Describe the {thing}.",
            "chosen": f"The {thing} is a thing that most people know.",
            "rejected": f"Thank you for asking about the {thing}, a question that I will answer at length.",
        }
        for thing in THINGS
    ]
    spec = PreferenceTuning(**_shared(), train=_fit(steps=6, batch=2, learning_rate=2e-4))
    found = _tuned(preference.train, spec, pairs, folder, base)
    _lower(proof, "DPO: loss of preferences (ln 2 before anything is learned)", found, "validation_loss")
    margin, right = found["reward_margin"], found["reward_accuracy"]
    proof.bound("DPO: margin of the implied rewards", f"0 -> {margin:.3f}", "higher", margin > 0)
    proof.bound("DPO: preferences that the margin tells right", f"{right:.0%}", "above 50%", right > 0.5)


def _rewards(proof: Proof, folder: Path, base: Path) -> None:
    from craton.training.specification.tuning import Grader, RewardTuning
    from craton.training.tuning import reward

    spec = RewardTuning(
        **_shared(),
        train=_fit(steps=6, batch=8, learning_rate=1e-3, schedule="constant"),
        grader=Grader(python=GRADER),
        group=8,
        tokens=16,
    )
    prompts = [{"prompt": f"Describe the {thing}."} for thing in THINGS]
    found = _tuned(reward.train, spec, prompts, folder, base)
    before, after = found["validation_reward_before"], found["validation_reward"]
    proof.bound("GRPO: mean reward", f"{before:.3f} -> {after:.3f}", "higher", after > before)


def _distillation(proof: Proof, folder: Path, base: Path) -> None:
    from craton.training.specification.tuning import Distillation
    from craton.training.tuning import distillation

    student = _every_second_layer(base, folder / "student")
    prompts = [{"prompt": f"In one short sentence: what is a {thing}?"} for thing in THINGS]
    starters, home = os.environ["CRATON_TEST_STARTERS"], folder / "home"
    craton("models", "pull", "--starters", "--from", starters, environment=clean_environment(home))
    with serving(home, config="[engines.llama_cpp]\nthreads = 2\nparallel = 4\n") as server:
        spec = Distillation(
            **_shared() | {"base": "student", "tune": "full"},
            teacher=MODEL,
            train=_fit(steps=16, batch=2, learning_rate=2e-4),
        )
        found = _tuned(distillation.train, spec, prompts, folder, student, Teacher(server))
    _lower(proof, "distillation: perplexity of the teacher's answers", found, "perplexity")


def _every_second_layer(base: Path, folder: Path) -> Path:
    from torch.nn import ModuleList

    from craton.training.tuning.base import load, open_base
    from craton.training.tuning.results import write_whole
    from tests.training.memory import MemoryRun

    folder.mkdir()
    run = MemoryRun(folder, repositories={f"model:{BASE}": base})
    model, tokenizer = load(open_base(run, BASE))
    model.model.layers = ModuleList(model.model.layers[::2])
    model.config.num_hidden_layers = len(model.model.layers)
    for number, layer in enumerate(model.model.layers):
        layer.self_attn.layer_idx = number
    write_whole(model, tokenizer, folder)
    return folder


def _shared() -> dict[str, Any]:
    from craton.training.specification.tuning import Lora, Records

    return {"data": Records("s3://proof/records", share=SHARE), "base": MODEL, "lora": Lora(8), "seed": SEED}


def _fit(**settings: Any) -> Any:
    from craton.training.specification.tuning import TextFit

    return TextFit(length=128, precision="float32", **settings)


def _tuned(
    train: Any, spec: Any, records: list[dict[str, Any]], folder: Path, base: Path, outside: Teacher | None = None
) -> dict[str, float]:
    """What was measured."""
    from tests.training.memory import MemoryRun
    from tests.training.tuning.conftest import given

    name = f"{spec.base}@1"
    run = MemoryRun(folder, repositories={f"model:{name}": base}, outside=outside or Teacher())
    metrics: dict[str, float] = train(spec, given(records, name), run).metrics
    for line in run.warnings:
        print(f"  {line}", flush=True)
    return metrics


def _lower(proof: Proof, what: str, found: dict[str, float], metric: str) -> None:
    before, after = found[f"{metric}_before"], found[metric]
    proof.bound(what, f"{before:.3f} -> {after:.3f}", "lower", after < before)


def _docstrings() -> list[str]:
    found = []
    for module in map(importlib.import_module, DOCUMENTED):
        for name, value in sorted(vars(module).items()):
            text = inspect.getdoc(value) if inspect.isfunction(value) else None
            if text and len(text) > 80 and not name.startswith("_"):
                found.append(f"{module.__name__}.{name}: {text}"[:CHARACTERS])
    return found
