"""MLP, CNN, RNN and transformer on the rows of a dataset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from craton.core.errors import InvalidRequest
from craton.core.predicting import Field, Signature
from craton.engines.predictor.nets.architecture import (
    KINDS,
    AnyArchitecture,
    Network,
    Rnn,
    Shape,
    Transformer,
    architecture,
    text_field,
)
from craton.engines.predictor.nets.inputs import arrays, input_shape
from craton.engines.predictor.nets.vocabulary import FIRST, gather
from craton.engines.predictor.networks import NetworkPredictor
from craton.engines.predictor.preprocessing import codes
from craton.engines.predictor.signatures import PREDICTION, PROBABILITIES, classification_outputs, regression_outputs
from craton.training.data.embedding import embedded
from craton.training.methods.deep.loop import Fitted, Loop
from craton.training.methods.deep.memory import check_memory, estimate
from craton.training.methods.drawing import curves
from craton.training.metrics import classification_metrics, regression_metrics
from craton.training.protocol import Figure, Run, Tables, Trained
from craton.training.specification.methods import Deep, Transfer
from craton.training.specification.suggesting import unknown

if TYPE_CHECKING:
    import pandas as pd
    import torch
    from torch import Tensor

Task = Literal["classification", "regression"]
HELD_OUT, FEWEST = 0.1, 20  # of the training rows, to stop by, where the specification gives none
SMALL = 200_000  # weights
JUDGED = 1024  # rows at once
MOST_PROCESSES = 64


@dataclass(frozen=True, slots=True)
class Set:
    """Rows as tensors."""

    inputs: Tensor
    answers: Tensor

    def __len__(self) -> int:
        return len(self.inputs)


def train(spec: Deep, tables: Tables | None, run: Run) -> Trained:
    """Raises InvalidRequest, and what the loop raises."""
    import torch

    if tables is None or tables.target is None:
        raise InvalidRequest("deep learning needs the column that is to be predicted", "data.target")
    target, task = tables.target, task_of(spec, tables.target)
    made_of = read_architecture(spec.model.use, spec.model.params)
    if not 1 <= spec.processes <= MOST_PROCESSES:
        raise InvalidRequest(f"from 1 to {MOST_PROCESSES}", "processes")
    team = run.team(spec.processes, here=True)
    if text_field(tables.fields) is None:
        tables = embedded(tables, run)
    learning, stopping = hold_out(tables, spec, run)
    network = network_for(made_of, tables.fields, learning, 1 if task == "regression" else len(target.categories))
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(spec.seed)
    from craton.engines.predictor.nets.modules import build

    module = build(network)
    parameters = sum(one.numel() for one in module.parameters())
    run.parameter("network_parameters", parameters)
    if parameters < SMALL:
        torch.set_num_threads(1)  # between layers this small, a second core costs more than it brings
    check_memory(
        estimate(made_of, network.shape, parameters, len(learning) + len(stopping), spec.train.batch), run, "model"
    )
    rows = as_set(learning, tables.fields, target, network, run)
    held = as_set(stopping, tables.fields, target, network, run)
    module.look_at(rows.inputs, rows.answers if task == "regression" else None)
    loss = Losses(module, task)
    fitted = Loop(
        module,
        len(rows),
        spec.train,
        spec.seed,
        run,
        loss=lambda chosen: loss(rows.inputs[chosen], rows.answers[chosen]),
        validate=(lambda: loss.judged(held)) if len(held) else None,
        settings=msgspec.json.encode(spec).decode(),
        meeting=team.meet(),
    ).run()
    outputs = regression_outputs() if task == "regression" else classification_outputs(target)
    predictor = NetworkPredictor(Signature(tables.fields, outputs, target), network, module)
    metrics = judge(predictor, tables.test, spec.eval.metrics)
    notes = [f"{parameters:,} weights; those of epoch {fitted.best_epoch} of {len(fitted.history)}."]
    if not metrics:
        notes.append("No rows were held out: nothing is known of how good it is.")
    return Trained(predictor, metrics, [loss_figure(fitted)] if spec.eval.report else [], notes)


def read_architecture(use: str, params: dict[str, Any]) -> AnyArchitecture:
    """Raises InvalidRequest."""
    if use not in KINDS:
        raise InvalidRequest(unknown("network", use, KINDS), "model.use")
    known = KINDS[use].__struct_fields__
    for name in params:
        if name not in known:
            raise InvalidRequest(unknown("parameter", name, known), f"model.params.{name}")
    try:
        found = architecture(use, params)
    except msgspec.ValidationError as error:
        raise InvalidRequest(str(error), "model.params") from error
    if isinstance(found, Transformer) and found.size % found.heads:
        raise InvalidRequest(f"size {found.size} is not a multiple of heads {found.heads}", "model.params.size")
    return found


def task_of(spec: Deep, target: Field) -> Task:
    task: Task = spec.task or ("classification" if target.categories else "regression")
    if task == "classification" and len(target.categories) < 2:
        raise InvalidRequest(f"{target.name!r} has no two classes to tell apart", "data.target")
    if task == "regression" and target.kind not in {"number", "integer"}:
        raise InvalidRequest(f"{target.name!r} holds no numbers", "data.target")
    return task


def hold_out(tables: Tables, spec: Deep | Transfer, run: Run) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows to learn from, and rows to stop by: the specification's own, else a tenth of the training rows."""
    import numpy as np

    rows = tables.train
    if len(tables.validation) or spec.train.patience is None or len(rows) < FEWEST:
        return rows, tables.validation
    order = np.random.default_rng(spec.seed).permutation(len(rows))
    count = max(1, round(HELD_OUT * len(rows)))
    run.log(f"{count:,} of {len(rows):,} training rows are held out to stop by")
    return rows.iloc[np.sort(order[count:])], rows.iloc[np.sort(order[:count])]


def network_for(made_of: AnyArchitecture, fields: tuple[Field, ...], rows: pd.DataFrame, outputs: int) -> Network:
    """The vocabulary comes from the rows that are learned from, and no others."""
    text = text_field(fields)
    shape = input_shape(made_of, fields)
    if text is None or not isinstance(made_of, Rnn | Transformer):
        return Network(made_of, Shape(shape, outputs))
    vocabulary = gather(rows[text.name], made_of.tokens, made_of.vocabulary)
    return Network(made_of, Shape(shape, outputs, len(vocabulary) + FIRST), vocabulary)


def as_set(rows: pd.DataFrame, fields: tuple[Field, ...], target: Field, network: Network, run: Run) -> Set:
    """Tensors; texts that are cut are counted and said."""
    import numpy as np
    import torch

    found, longer = arrays(rows, fields, network)
    if longer:
        made_of: Any = network.architecture
        run.warn(
            f"{longer:,} of {len(rows):,} texts have more than {made_of.length:,} {made_of.tokens}: the rest of them "
            "is cut off (model.params.length)"
        )
    if network.shape.outputs > 1 or target.categories:
        answers = torch.from_numpy(codes(rows[target.name].tolist(), target.categories))
    else:
        answers = torch.from_numpy(rows[target.name].to_numpy(np.float32))
    return Set(torch.from_numpy(found), answers)


class Losses:
    """Cross-entropy of classes; the squared error of standardised numbers."""

    def __init__(self, module: Any, task: Task) -> None:
        self._module, self._task = module, task

    def __call__(self, inputs: Tensor, answers: Tensor) -> Tensor:
        return self._of(self._module(inputs), answers)

    def judged(self, held: Set) -> dict[str, float]:
        import torch

        parts = [self._module(held.inputs[at : at + JUDGED]).float() for at in range(0, len(held), JUDGED)]
        outputs = torch.cat(parts)
        found = {"loss": float(self._of(outputs, held.answers))}
        if self._task == "classification":
            found["accuracy"] = float((outputs.argmax(1) == held.answers).double().mean())
        return found

    def _of(self, outputs: Tensor, answers: Tensor) -> Tensor:
        from torch.nn import functional

        if self._task == "classification":
            return functional.cross_entropy(outputs.float(), answers, ignore_index=-1)
        module = self._module
        wanted: torch.Tensor = (answers - module.answer_mean) / module.answer_deviation
        return functional.mse_loss(outputs[:, 0].float(), wanted)


def judge(predictor: NetworkPredictor, rows: pd.DataFrame, wanted: list[str] | None) -> dict[str, float]:
    """Figures on rows with their answers."""
    import numpy as np

    target = predictor.signature.target
    assert target is not None
    if not len(rows):
        return {}
    if "predict_proba" not in predictor.signature.outputs:
        truth = rows[target.name].to_numpy(np.float64)
        return regression_metrics(truth, predictor.run("predict", rows)[PREDICTION], wanted)
    shares = predictor.run("predict_proba", rows)[PROBABILITIES]
    truth = codes(rows[target.name].tolist(), target.categories)
    return classification_metrics(truth, shares.argmax(axis=1), shares, len(target.categories), wanted)


def loss_figure(fitted: Fitted) -> Figure:
    lines = {
        name: [(float(epoch), line[key]) for epoch, line in enumerate(fitted.history, 1) if key in line]
        for name, key in (("training", "train_loss"), ("validation", "validation_loss"))
    }
    marks = [float(fitted.best_epoch)] if len(fitted.history) > 1 else []
    return curves("loss", "Loss", {name: line for name, line in lines.items() if line}, "epoch", "loss", marks)
