"""A head on an encoder. Frozen, its vectors are made once; else the whole goes through the loop of deep learning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from craton.core.errors import InvalidRequest
from craton.core.predicting import Field, Signature
from craton.engines.predictor.encoders import BATCH, EncoderPredictor, text_of
from craton.engines.predictor.encoders import Head as HeadShape
from craton.engines.predictor.nets.architecture import Mlp
from craton.engines.predictor.preprocessing import codes
from craton.engines.predictor.signatures import PREDICTION, PROBABILITIES, classification_outputs, regression_outputs
from craton.training.methods.deep.loop import Loop
from craton.training.methods.deep.training import hold_out, loss_figure
from craton.training.methods.transfer.layers import Thawing
from craton.training.methods.transfer.settings import Head, read_settings
from craton.training.metrics import classification_metrics, regression_metrics
from craton.training.protocol import Run, Tables, Trained
from craton.training.specification.methods import Transfer

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from craton.engines.predictor.nets.encoder import Encoder, Texts


def train_head(spec: Transfer, tables: Tables, run: Run) -> Trained:
    """Raises InvalidRequest, and what the base's files raise."""
    import torch
    from torch import nn
    from torch.nn import functional

    from craton.engines.predictor.nets.encoder import read_encoder
    from craton.engines.predictor.nets.modules import mlp

    field, target = _columns(tables)
    settings = read_settings(spec.model.params, Head)
    folder = run.checkout("model", spec.base)
    torch.use_deterministic_algorithms(True)
    encoder, texts = read_encoder(folder, settings.length)
    learning, stopping = hold_out(tables, spec, run)
    answers, held_answers = (_answers(rows, target) for rows in (learning, stopping))
    numbers = not target.categories
    mean, deviation = (float(answers.mean()), float(answers.std(correction=0)) or 1.0) if numbers else (0.0, 1.0)
    outputs = 1 if numbers else len(target.categories)
    shape = HeadShape(Mlp(settings.dropout, settings.hidden), outputs, texts.window, mean, deviation)
    torch.manual_seed(spec.seed)
    layers = mlp(shape.network, encoder.width, outputs)
    rows, held = (
        _Rows(part[field.name], encoder, texts, run, frozen=spec.tune == "frozen") for part in (learning, stopping)
    )

    def of(vectors: Tensor, wanted: Tensor) -> Tensor:
        found = layers(vectors).float()
        if numbers:
            return functional.mse_loss(found[:, 0], (wanted - mean) / deviation)
        return functional.cross_entropy(found, wanted, ignore_index=-1)

    def judged() -> dict[str, float]:
        losses = [
            float(of(held.vectors(places), held_answers[places])) * len(places)
            for places in torch.split(torch.arange(len(held_answers)), BATCH)
        ]
        return {"loss": sum(losses) / len(held_answers)}

    whole = nn.ModuleDict({"encoder": encoder, "head": layers} if spec.tune != "frozen" else {"head": layers})
    thawing = Thawing(encoder, layers, spec.tune, spec.train.learning_rate, settings.encoder_rate)
    run.parameter("parameters_learned", sum(one.numel() for one in whole.parameters()))
    fitted = Loop(
        whole,
        len(answers),
        spec.train,
        spec.seed,
        run,
        loss=lambda places: of(rows.vectors(places), answers[places]),
        validate=judged if len(held_answers) else None,
        groups=thawing if spec.tune != "frozen" else None,
        settings=msgspec.json.encode(spec).decode(),
    ).run()
    made = Signature((field,), regression_outputs() if numbers else classification_outputs(target), target)
    predictor = EncoderPredictor(made, encoder, texts, shape, layers, _kept(folder, run))
    metrics = _judge(predictor, tables.test, target, spec.eval.metrics)
    notes = [f"On top of {spec.base} ({spec.tune}); the weights of epoch {fitted.best_epoch} of {len(fitted.history)}."]
    return Trained(predictor, metrics, [loss_figure(fitted)] if spec.eval.report else [], notes)


class _Rows:
    """Vectors of texts: made once when the encoder is frozen, else as they are asked for."""

    def __init__(self, column: pd.Series[Any], encoder: Encoder, texts: Texts, run: Run, *, frozen: bool) -> None:
        self._encoder, self._texts = encoder, texts
        self._ids, longer = texts.ids([text_of(value) for value in column])
        if longer:
            run.warn(f"{longer:,} of {len(column):,} texts have more than {texts.window} tokens: the rest is cut off")
        self._made = self._all(run) if frozen else None

    def vectors(self, places: Tensor) -> Tensor:
        if self._made is not None:
            return self._made[places]
        found: Tensor = self._encoder(*self._texts.padded([self._ids[place] for place in places.tolist()]))
        return found

    def _all(self, run: Run) -> Tensor:
        import torch

        found = torch.empty((len(self._ids), self._encoder.width))
        order = sorted(range(len(self._ids)), key=lambda place: len(self._ids[place]))
        with torch.no_grad():
            for start in range(0, len(order), BATCH):
                run.check()
                run.progress(start, len(order), "texts read")
                places = order[start : start + BATCH]
                found[places] = self._encoder(*self._texts.padded([self._ids[place] for place in places]))
        return found


def _columns(tables: Tables) -> tuple[Field, Field]:
    """The text and the target. Raises InvalidRequest."""
    texts = [one for one in tables.fields if one.kind == "text"]
    if len(texts) != 1 or len(tables.fields) != 1:
        raise InvalidRequest("an encoder reads one column of text; name it in data.features", "data.features")
    if tables.target is None:
        raise InvalidRequest("a head needs the column that is to be predicted", "data.target")
    return Field(texts[0].name, "text", texts[0].nullable), tables.target


def _answers(rows: pd.DataFrame, target: Field) -> Tensor:
    import numpy as np
    import torch

    if target.categories:
        return torch.from_numpy(codes(rows[target.name].tolist(), target.categories))
    return torch.from_numpy(rows[target.name].to_numpy(np.float32))


def _kept(folder: Any, run: Run) -> Any:
    """The encoder's small files, which are needed when the run's checkout is gone."""
    import shutil

    from craton.engines.predictor.encoders import COPIED

    kept = run.folder / "encoder"
    for name in COPIED:
        if (folder / name).is_file():
            (kept / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / name, kept / name)
    return kept


def _judge(
    predictor: EncoderPredictor, rows: pd.DataFrame, target: Field, wanted: list[str] | None
) -> dict[str, float]:
    import numpy as np

    if not len(rows):
        return {}
    if not target.categories:
        truth = rows[target.name].to_numpy(np.float64)
        return regression_metrics(truth, predictor.run("predict", rows)[PREDICTION], wanted)
    shares = predictor.run("predict_proba", rows)[PROBABILITIES]
    truth = codes(rows[target.name].tolist(), target.categories)
    return classification_metrics(truth, shares.argmax(axis=1), shares, len(target.categories), wanted)
