"""Training that takes minutes: a pole that stays up, and an embedder that finds more once it was tuned.

SciFact lies beside the project (`shared/data`); without it that half is left out, and says so.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

from tests.proof.report import Proof
from tests.training.memory import MemoryRun

ROOT = Path(__file__).resolve().parents[2]
SCIFACT = ROOT.parent / "shared" / "data" / "scifact"
STARTER = ROOT / "build" / "starters" / "all-MiniLM-L6-v2"
POLE = 475.0
CHARACTERS = 700  # of an abstract that is learned from; it is judged on whole ones
TOKENS = 96

ABOUT = (
    "CartPole-v1 by PPO with the parameters of `examples/cartpole.yaml`, judged on 20 episodes. The starter embedder "
    "tuned on SciFact's training claims and the abstracts that bear on them (multiple negatives ranking), judged on "
    "the 300 test claims against all 5,183 abstracts, before and after."
)


def prove(folder: Path) -> Proof:
    proof = Proof("training", "Training", ABOUT)
    _pole(proof, folder / "pole")
    if SCIFACT.is_dir() and STARTER.is_dir():
        _embedder(proof, folder / "embedder")
    else:
        proof.note("SciFact", "not here: nothing was measured")
    return proof


def _pole(proof: Proof, folder: Path) -> None:
    import yaml

    from craton.training.methods.reinforcement.training import train
    from craton.training.specification.reading import read

    folder.mkdir(parents=True)
    document = yaml.safe_load((ROOT / "examples" / "cartpole.yaml").read_text())
    started = time.monotonic()
    trained = train(read(document), None, MemoryRun(folder))  # type: ignore[arg-type]
    reward = trained.metrics["reward"]
    proof.bound("CartPole-v1, mean reward of 20 episodes", f"{reward:.1f}", f"at least {POLE:g}", reward >= POLE)
    proof.note("until then", f"{time.monotonic() - started:.0f} s; {trained.notes[-1]}")


def _embedder(proof: Proof, folder: Path) -> None:
    import pandas as pd

    from craton.core.predicting import Field
    from craton.engines.predictor.nets.encoder import read_encoder
    from craton.training.methods.transfer.contrastive import ranking_figures
    from craton.training.methods.transfer.training import train
    from craton.training.specification.methods import Fit, Transfer
    from craton.training.specification.parts import Data, Model
    from tests.training.memory import tables

    folder.mkdir(parents=True)
    abstracts = {one["_id"]: f"{one['title']} {one['text']}" for one in _lines("corpus.jsonl")}
    claims = {one["_id"]: one["text"] for one in _lines("queries.jsonl")}
    relevant: dict[str, set[str]] = {}
    for claim, found in _judged("test.tsv"):
        relevant.setdefault(claims[claim], set()).add(abstracts[found])
    pairs = [
        (claims[claim], abstracts[found][:CHARACTERS])
        for claim, found in _judged("train.tsv")
        if claims[claim] not in relevant  # a claim that stands in both parts is only ever measured
    ]
    rows = pd.DataFrame(pairs, columns=["claim", "abstract"])
    run = MemoryRun(folder, repositories={"model:starter": STARTER})
    corpus = sorted(set(abstracts.values()))
    before = ranking_figures(*read_encoder(STARTER), relevant, corpus, run)
    started = time.monotonic()
    spec = Transfer(
        data=Data("scifact"),
        model=Model("contrastive", {"encoder_rate": 3e-5, "length": TOKENS}),
        base="starter",
        tune="full",
        train=Fit(epochs=2, batch=32, patience=None),
    )
    trained = train(spec, tables(rows, (Field("claim", "text"), Field("abstract", "text")), None), run)
    took = time.monotonic() - started
    assert trained.folder is not None
    after = ranking_figures(*read_encoder(trained.folder), relevant, corpus, run)
    for name, value in after.items():
        old = before[name]
        proof.bound(f"SciFact, {name}", f"{old:.4f} -> {value:.4f}", "more than before", value > old)
    proof.note("tuned on", f"{len(pairs)} pairs, 2 epochs, {took:.0f} s")


def _lines(name: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in (SCIFACT / name).read_text("utf-8").splitlines()]


def _judged(name: str) -> list[tuple[str, str]]:
    lines = (SCIFACT / name).read_text("utf-8").splitlines()[1:]
    return [(claim, found) for claim, found, score in (line.split("\t") for line in lines) if int(score) > 0]
