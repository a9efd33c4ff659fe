"""Specifications that make a foundation model one's own; `method` tells them apart, as it does for all others.

Texts come as records: lines of JSON in a bucket ("s3://train/support.jsonl"), or the rows of a dataset in the hub
("datasets/acme/support@main"). What a record holds depends on the method; each structure says it.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import field

from craton.training.specification.parts import Evaluation, Output, Part

LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


class Records(Part, frozen=True):
    """ref: where the records are. validation: where those are that are only judged on; "" sets `share` of the others
    apart. limit: only so many, the first ones. config and part: of a dataset."""

    ref: str
    validation: str = ""
    share: float = 0.1
    limit: int | None = None
    config: str = ""
    part: str = "train"


class Lora(Part, frozen=True):
    """Low-rank adapters (Hu et al., 2021, arXiv 2106.09685) on these linear parts of every layer.

    alpha: None for twice the rank."""

    rank: int = 16
    alpha: float | None = None
    dropout: float = 0.0
    modules: tuple[str, ...] = LINEAR


class TextFit(Part, frozen=True):
    """How a language model is trained. steps, where given, is the end instead of epochs. batch: sequences a step;
    accumulate: steps to one update. learning_rate: None for the method's usual. warmup: share of all updates,
    or from 1 on their number. length: tokens of the longest sequence. packing: short samples share a sequence, and do
    not see each other. patience: validations without a better loss until it stops, None for never. precision: "auto" is
    bfloat16 where the hardware computes in it. checkpointing: values between the layers are computed again on the way
    back instead of being kept (Chen et al., 2016, arXiv 1604.06174): a third slower, far less memory. processes: that
    share each step, and the model's weights among them, on nodes of a cluster or as children here.
    """

    epochs: float = 1.0
    steps: int | None = None
    batch: int = 4
    accumulate: int = 1
    learning_rate: float | None = None
    schedule: Literal["constant", "cosine", "linear"] = "linear"
    warmup: float = 0.03
    weight_decay: float = 0.0
    clip: float = 1.0
    length: int = 1024
    packing: bool = True
    patience: int | None = None
    precision: Literal["auto", "bfloat16", "float32"] = "auto"
    checkpointing: bool = False
    processes: int = 1


class Tuned(Part, frozen=True, kw_only=True, tag_field="method"):
    """base: a model that is here, by its name and revision ("smollm2-135m-instruct", "acme/base@main"). tune: an
    adapter beside the base, or all of its weights."""

    data: Records
    base: str = "smollm2-135m-instruct"
    tune: Literal["lora", "full"] = "lora"
    lora: Lora = Lora()
    train: TextFit = TextFit()
    output: Output = Output()
    eval: Evaluation = Evaluation()
    seed: int = 0
    name: str = ""


class FineTuning(Tuned, frozen=True, tag="fine-tuning"):
    """Records: {"prompt", "completion"}, {"messages": [{"role", "content"}]} as OpenAI has them, or Bedrock's
    conversations ({"schemaVersion": "bedrock-conversation-2024", "system", "messages"}). The loss is on the answers
    alone."""


class ContinuedPretraining(Tuned, frozen=True, tag="continued-pretraining"):
    """Records: {"text"} or {"input"}; whole files of plain text too. The loss is on every token."""


class Architecture(Part, frozen=True):
    """Of a model that is made from nothing: a decoder of the Llama family. vocabulary: pieces of its tokenizer, which
    is trained on the same texts (byte-level BPE; Sennrich et al., 2016, arXiv 1508.07909)."""

    layers: int = 4
    width: int = 256
    heads: int = 4
    hidden: int | None = None  # of the feed-forward parts; None for 8/3 of the width, rounded up to 32
    context: int = 512
    vocabulary: int = 4096


class Pretraining(Tuned, frozen=True, tag="pretraining"):
    """From nothing. Records as for continued pre-training. `base`, `tune` and `lora` do not apply."""

    model: Architecture = Architecture()


class PreferenceTuning(Tuned, frozen=True, tag="preference-tuning"):
    """Records: {"prompt", "chosen", "rejected"}, each text or messages. Direct preference optimisation (Rafailov et
    al., 2023, arXiv 2305.18290). beta: how far from the base it may go."""

    beta: float = 0.1


class Grader(Part, frozen=True):
    """What scores an answer, one of: a Python function (the text of a module with `grade(prompt, answer, record)
    -> float`, run in a child without network), an HTTP grader on the operator's allow-list, or a model as judge, asked
    with `instruction` and answering with a number from 0 to 1. timeout: seconds for one batch."""

    python: str = ""
    url: str = ""
    judge: str = ""
    instruction: str = ""
    timeout: float = 60.0


class RewardTuning(Tuned, frozen=True, tag="reward-tuning"):
    """Records: {"prompt"} or {"messages"}, and whatever else the grader looks at. Group relative policy optimisation
    (Shao et al., 2024, arXiv 2402.03300). group: answers to one prompt. tokens: of the longest answer."""

    grader: Grader
    group: int = 8
    tokens: int = 256
    temperature: float = 1.0
    beta: float = 0.0


class Distillation(Tuned, frozen=True, tag="distillation"):
    """Records: {"prompt"} or {"messages"} that the teacher answers, or records of invocations that it has answered.
    teacher: any model that is served here. tokens: of its longest answer."""

    teacher: str
    tokens: int = 512
    sampling: dict[str, Any] = field(default_factory=dict)


Tuning = FineTuning | ContinuedPretraining | Pretraining | PreferenceTuning | RewardTuning | Distillation
