"""An encoder tuned on pairs of texts that belong together: questions and their answers, titles and their bodies.

Multiple negatives ranking: Henderson et al., 2017 (arXiv 1705.00652), as sentence-transformers scales it. InfoNCE: van
den Oord et al., 2018 (arXiv 1807.03748), both ways as CLIP takes it. nDCG: Jarvelin and Kekalainen, 2002.
Left out: hard negatives that are mined while training, batches that are larger than memory (GradCache).
"""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from craton.core.errors import InvalidRequest
from craton.engines.predictor.encoders import BATCH, text_of
from craton.training.methods.deep.loop import Loop
from craton.training.methods.deep.training import hold_out, loss_figure
from craton.training.methods.transfer.layers import Thawing
from craton.training.methods.transfer.settings import Pairs, read_settings
from craton.training.methods.transfer.trial import try_out
from craton.training.protocol import Run, Tables, Trained
from craton.training.specification.methods import Transfer

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from craton.engines.predictor.nets.encoder import Encoder, Texts

CUT = 10  # places of a ranking that count
TRIED = 8  # texts whose vectors a fresh process must give
LEFT = {"README.md", "model.safetensors", ".gitattributes"}
"""The files of the base that are not the result's."""


def train_pairs(spec: Transfer, tables: Tables, run: Run) -> Trained:
    """Raises InvalidRequest, and what the base's files raise."""
    import torch

    from craton.engines.predictor.nets.encoder import read_encoder

    columns = _columns(spec, tables)
    settings = read_settings(spec.model.params, Pairs)
    base = run.checkout("model", spec.base)
    torch.use_deterministic_algorithms(True)
    encoder, texts = read_encoder(base, settings.length)
    learning, stopping = hold_out(tables, spec, run)
    before = retrieval(encoder, texts, tables.test, columns, run)
    run.log("before: " + (", ".join(f"{name} {value:.4f}" for name, value in before.items()) or "nothing held out"))
    torch.manual_seed(spec.seed)
    rows, held = (_Batch(part, columns, encoder, texts, settings, run) for part in (learning, stopping))
    sizes = torch.split(torch.arange(len(held)), max(2, spec.train.batch))
    fitted = Loop(
        encoder,
        len(rows),
        spec.train,
        spec.seed,
        run,
        loss=rows.loss,
        validate=(lambda: {"loss": sum(float(held.loss(one)) * len(one) for one in sizes) / len(held)})
        if len(held) > 1
        else None,
        groups=Thawing(encoder, None, spec.tune, spec.train.learning_rate, settings.encoder_rate),
        settings=msgspec.json.encode(spec).decode(),
    ).run()
    encoder.eval()
    after = retrieval(encoder, texts, tables.test, columns, run)
    folder = write_encoder(encoder, base, run.folder / "result", str(spec.base))
    try_out(encoder, texts, folder, [text_of(value) for value in learning[columns[0]].head(TRIED)])
    metrics = {**after, **{f"{name}_before": value for name, value in before.items()}}
    notes = [
        f"Tuned from {spec.base} ({spec.tune}, {settings.loss}) on {len(rows):,} pairs; the weights of epoch "
        f"{fitted.best_epoch} of {len(fitted.history)}.",
        f"Retrieval: for each held-out `{columns[0]}`, its `{columns[1]}` among all held-out ones, best {CUT}.",
    ]
    return Trained(None, metrics, [loss_figure(fitted)] if spec.eval.report else [], notes, folder)


def _columns(spec: Transfer, tables: Tables) -> tuple[str, ...]:
    """Question, answer and, where there is a third, what is no answer. Raises InvalidRequest."""
    names = [one.name for one in tables.fields if one.kind in {"text", "category"}]
    if tables.target is not None or len(names) != len(tables.fields) or len(names) not in {2, 3}:
        raise InvalidRequest(
            "pairs are two columns of text (a third holds what does not belong), and no target: "
            "name them in data.features, the one that asks first",
            "data.features",
        )
    if spec.tune == "frozen":
        raise InvalidRequest("nothing would learn: say 'gradual' or 'full'", "tune")
    if spec.train.batch < 2:
        raise InvalidRequest("the other pairs of a batch are what a pair is told from: at least 2", "train.batch")
    if len(tables.train) < 2:
        raise InvalidRequest("at least two pairs are needed", "data")
    return tuple(names)


class _Batch:
    """The loss of some pairs."""

    def __init__(
        self, rows: pd.DataFrame, columns: tuple[str, ...], encoder: Encoder, texts: Texts, settings: Pairs, run: Run
    ) -> None:
        self._encoder, self._texts, self._settings = encoder, texts, settings
        self._said = [[text_of(value) for value in rows[name]] for name in columns]
        self._ids, longer = [], 0
        for said in self._said:
            ids, cut = texts.ids(said)
            self._ids.append(ids)
            longer += cut
        if longer:
            run.warn(f"{longer:,} texts have more than {texts.window} tokens: the rest of them is cut off")

    def __len__(self) -> int:
        return len(self._said[0])

    def loss(self, places: Tensor) -> Tensor:
        import torch
        from torch.nn import functional

        chosen = places.tolist()
        asking, *answering = (self._vectors(number, chosen) for number in range(len(self._ids)))
        scores = self._settings.scale * asking @ torch.cat(answering).T
        scores = scores.masked_fill(self._belongs_too(chosen), -math.inf)
        own = torch.arange(len(chosen))
        loss = functional.cross_entropy(scores, own)
        if self._settings.loss == "info-nce":
            loss = (loss + functional.cross_entropy(scores[:, : len(chosen)].T, own)) / 2
        return loss

    def _vectors(self, column: int, places: list[int]) -> Tensor:
        from torch.nn import functional

        ids, mask = self._texts.padded([self._ids[column][place] for place in places])
        return functional.normalize(self._encoder(ids, mask).float(), dim=1)

    def _belongs_too(self, places: list[int]) -> Tensor:
        """Other pairs of the batch with the same question or the same answer are no negatives."""
        import torch

        asked, *answers = ([said[place] for place in places] for said in self._said)
        own = torch.eye(len(places), dtype=torch.bool)
        parts = []
        for number, column in enumerate(answers):
            same = torch.tensor(
                [
                    [one == other or (number == 0 and asked[row] == asked[at]) for at, other in enumerate(column)]
                    for row, one in enumerate(answers[0])
                ]
            )
            parts.append(same & ~own if number == 0 else same)
        return torch.cat(parts, dim=1)


def retrieval(
    encoder: Encoder, texts: Texts, rows: pd.DataFrame, columns: tuple[str, ...], run: Run
) -> dict[str, float]:
    """nDCG and recall of the first ten: each question against all answers of these rows. {} without rows."""
    pairs = [(text_of(one), text_of(other)) for one, other in zip(rows[columns[0]], rows[columns[1]], strict=True)]
    relevant: dict[str, set[str]] = {}
    for question, answer in pairs:
        relevant.setdefault(question, set()).add(answer)
    answers = sorted({answer for _, answer in pairs})
    if len(answers) < 2:
        return {}
    return ranking_figures(encoder, texts, relevant, answers, run)


def ranking_figures(
    encoder: Encoder, texts: Texts, relevant: dict[str, set[str]], answers: list[str], run: Run
) -> dict[str, float]:
    """relevant: question -> which of the answers are right."""
    import torch

    questions = list(relevant)
    known = vectors(encoder, texts, answers, run)
    ndcg = recall = 0.0
    for start in range(0, len(questions), 256):
        some = questions[start : start + 256]
        scores = vectors(encoder, texts, some, run) @ known.T
        ranked = torch.topk(scores, min(CUT, len(answers)), dim=1).indices.tolist()
        for question, places in zip(some, ranked, strict=True):
            hits = [answers[place] in relevant[question] for place in places]
            best = sum(1 / math.log2(place + 2) for place in range(min(CUT, len(relevant[question]))))
            ndcg += sum(1 / math.log2(place + 2) for place, hit in enumerate(hits) if hit) / best
            recall += sum(hits) / len(relevant[question])
    return {f"ndcg_at_{CUT}": ndcg / len(questions), f"recall_at_{CUT}": recall / len(questions)}


def vectors(encoder: Encoder, texts: Texts, said: list[str], run: Run) -> Tensor:
    """Unit vectors, as the embedder will give them."""
    import torch
    from torch.nn import functional

    encoder.eval()
    ids, _ = texts.ids(said)
    found = torch.empty((len(said), encoder.width))
    order = sorted(range(len(said)), key=lambda place: len(ids[place]))
    with torch.no_grad():
        for start in range(0, len(order), BATCH):
            run.check()
            places = order[start : start + BATCH]
            found[places] = functional.normalize(
                encoder(*texts.padded([ids[place] for place in places])).float(), dim=1
            )
    return found


def write_encoder(encoder: Encoder, base: Path, folder: Path, name: str) -> Path:
    """An ordinary folder of sentence-transformers: the base's own small files with the new weights."""
    from safetensors.torch import save_file

    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(base, folder, ignore=lambda _, names: LEFT & set(names))
    tensors: dict[str, Any] = {
        name: value.detach().contiguous().clone() for name, value in encoder.body.state_dict().items()
    }
    save_file(tensors, folder / "model.safetensors", {"format": "pt", "base_model": name})
    return folder
