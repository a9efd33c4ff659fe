"""Every architecture that can be brought in, whole: import job -> served -> tuned by a customization job -> served."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.proof.report import Proof

if TYPE_CHECKING:
    from tests.customizing.architectures import Workshop

DECODERS = (
    *("gpt2", "falcon", "deepseek_v3", "gpt_oss", "gemma", "gemma2", "gemma3", "llama", "code_llama", "mistral"),
    *("qwen2", "qwen3"),
)
LABELS = ("calm", "angry", "glad")
BOUND = 0.05  # of log-probabilities: weights are exact in 16 bits, the caches of keys and values are rounded to them
SCORES = 1e-4
ENCODED = ("query", "value", "intermediate.dense", "output.dense")
ABOUT = (
    "Tiny models with random weights that 16-bit floats hold exactly, made from each architecture's transformers "
    "config, go from a bucket through `create_model_import_job` to an answer, and from there through "
    "`create_model_customization_job` (LoRA, two updates) and a deployment to an answer with the adapter. Compared are "
    "the log-probabilities of the likeliest tokens after six prompts, told over HTTP, with transformers' own, and with "
    "PEFT's over the adapter's files: the largest difference. llama.cpp keeps keys and values in 16-bit floats here, "
    "and looks GELU up in a table; with 32-bit caches the differences are those of docs/models.md. Left out are "
    "prompts after which DeepSeek's experts are chosen by a margin below 0.001, which that rounding can turn."
)


def prove(folder: Path) -> Proof:
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    import torch

    from tests.app.collaborating import company
    from tests.customizing.architectures import CONFIG, Workshop, built, encoder
    from tests.customizing.clients import Clients

    torch.set_num_threads(1)
    proof = Proof("architectures", "Every architecture, from import to adapter", ABOUT)
    places = folder / "folders"
    for name in DECODERS:
        built(name, places)
    for name, labels in (("embedder", ()), ("classifier", LABELS), ("reranker", ("relevant",))):
        encoder(places / name, labels)
    began = time.monotonic()
    with company(folder / "home", CONFIG) as running:
        shop = Workshop(Clients(running.server, str(running.alice.token)), places)
        imports = {path.name: shop.start(path.name) for path in sorted(places.iterdir())}
        arns = {name: shop.brought(job) for name, job in imports.items()}
        proof.note("imported", f"{len(arns)} models in {time.monotonic() - began:.0f} s")
        began = time.monotonic()
        jobs = {name: shop.tune(name) for name in DECODERS}
        rows = [_decoder(proof, shop, name, arns[name], jobs[name]) for name in DECODERS]
        proof.note("tuned and compared", f"{len(jobs)} models in {time.monotonic() - began:.0f} s")
        _encoders(proof, shop)
    head = "| architecture | imported | with the adapter | adapted parts | the adapter changes up to |"
    proof.tables.append("\n".join([head, "|---|---|---|---|---|", *rows]))
    return proof


def _decoder(proof: Proof, shop: Workshop, name: str, arn: str, job: str) -> str:
    from peft import PeftModel

    from tests.customizing.architectures import original

    plain, compared = shop.difference(arn, name, original(shop.folder / name))
    proof.bound(f"{name}, imported ({compared} tokens)", f"{plain:.1e}", f"below {BOUND}", plain < BOUND)
    deployed = shop.clients.deploy(f"use-{name.replace('_', '-')}", shop.tuned(job))
    adapted: Any = PeftModel.from_pretrained(original(shop.folder / name), shop.adapter(name)).eval()
    tuned, compared = shop.difference(deployed, name, adapted)
    proof.bound(f"{name}, with its adapter ({compared} tokens)", f"{tuned:.1e}", f"below {BOUND}", tuned < BOUND)
    changed, _ = shop.difference(deployed, name, original(shop.folder / name))
    proof.bound(f"{name}, what the adapter changes", f"{changed:.2f}", f"above {2 * BOUND}", changed > 2 * BOUND)
    parts = ", ".join(sorted(adapted.peft_config["default"].target_modules))
    return f"| {name} | {plain:.1e} | {tuned:.1e} | {parts} | {changed:.2f} |"


def _encoders(proof: Proof, shop: Workshop) -> None:
    import torch
    import transformers

    from tests.customizing.architectures import lora

    asked, texts = "the quick brown fox", ["lazy dog", "the quick brown fox jumps over the lazy dog", "fox"]

    def loaded(kind: str, name: str) -> tuple[Any, Any]:
        model = getattr(transformers, kind).from_pretrained(shop.folder / name).eval()
        return model, transformers.AutoTokenizer.from_pretrained(shop.folder / name)

    def near(what: str, told: Sequence[float], wanted: Any) -> None:
        worst = max(abs(one - other) for one, other in zip(told, wanted.tolist(), strict=True))
        proof.bound(f"bert, {what}", f"{worst:.1e}", f"below {SCORES}", worst < SCORES)

    def adapter(model: Any, name: str, task: str) -> tuple[Any, str]:
        place = shop.folder.parent / f"over-{name}"
        adapted = lora(model, ENCODED, place, shop.named(name), task)
        return adapted, shop.push(f"alice/over-{name}", place)

    def scores(name: str) -> list[float]:
        told = shop.classify(name, asked)
        return [told[label] for label in LABELS]

    with torch.no_grad():
        model, tokenizer = loaded("BertModel", "embedder")
        row = tokenizer(asked, return_tensors="pt")
        near("embedding", shop.embed(shop.named("embedder"), asked), _unit(model(**row)))
        adapted, repo = adapter(model, "embedder", "FEATURE_EXTRACTION")
        near("embedding, with an adapter", shop.embed(repo, asked), _unit(adapted(**row)))
        model, tokenizer = loaded("BertForSequenceClassification", "classifier")
        near("classification", scores(shop.named("classifier")), torch.softmax(model(**row).logits[0], -1))
        adapted, repo = adapter(model, "classifier", "SEQ_CLS")
        near("classification, with an adapter", scores(repo), torch.softmax(adapted(**row).logits[0], -1))
        model, tokenizer = loaded("BertForSequenceClassification", "reranker")
        pairs = tokenizer([asked] * len(texts), texts, return_tensors="pt", padding=True)
        ranked = shop.rerank("reranker", asked, texts)
        wanted = torch.sigmoid(model(**pairs).logits[:, 0])
        near("reranking", [ranked[index] for index in range(len(texts))], wanted)


def _unit(answer: Any) -> Any:
    """The mean of the tokens' states, of length 1."""
    mean = answer.last_hidden_state[0].mean(0)
    return mean / mean.norm()
