"""A pretrained encoder of text with a head of its own: the vectors are made inside, so rows hold the texts."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from craton.core.errors import Damaged
from craton.core.predicting import PredictVerb, Signature
from craton.engines.predictor.manifest import Manifest
from craton.engines.predictor.nets.architecture import Mlp
from craton.engines.predictor.signatures import PREDICTION, PROBABILITIES

if TYPE_CHECKING:
    import pandas as pd
    import torch

    from craton.engines.predictor.nets.encoder import Encoder, Texts
    from craton.engines.predictor.protocol import Column

HEAD, DESCRIPTION = "head.safetensors", "head.json"
COPIED = ("config.json", "tokenizer.json", "sentence_bert_config.json", "1_Pooling/config.json")
BATCH = 32


class Head(Struct, frozen=True, forbid_unknown_fields=True):
    """head.json. mean, deviation: of the numbers that it learned to predict. window: tokens of one text."""

    network: Mlp
    outputs: int
    window: int
    mean: float = 0.0
    deviation: float = 1.0


class EncoderPredictor:
    """folder: where the encoder's small files lie while it was not saved yet."""

    def __init__(
        self,
        signature: Signature,
        encoder: Encoder,
        texts: Texts,
        head: Head,
        layers: torch.nn.Module,
        folder: Path,
    ) -> None:
        self._signature, self._encoder, self._texts = signature, encoder.eval(), texts
        self._head, self._layers, self._folder = head, layers.eval(), folder

    @property
    def signature(self) -> Signature:
        return self._signature

    def run(self, verb: PredictVerb, rows: pd.DataFrame) -> dict[str, Column]:
        import numpy as np

        outputs = self._outputs([text_of(value) for value in rows[self._signature.inputs[0].name]])
        categories = self._signature.outputs["predict"][0].categories
        if not categories:
            return {PREDICTION: outputs[:, 0].double().numpy() * self._head.deviation + self._head.mean}
        shares = outputs.double().softmax(1).numpy()
        labels: dict[str, Column] = {PREDICTION: np.array(categories, dtype=object)[shares.argmax(axis=1)]}
        return {**labels, PROBABILITIES: shares} if verb == "predict_proba" else labels

    def _outputs(self, texts: list[str]) -> torch.Tensor:
        """Texts of like length together, so that little padding is computed."""
        import torch

        ids, _ = self._texts.ids(texts)
        found = torch.empty((len(texts), self._head.outputs))
        order = sorted(range(len(texts)), key=lambda place: len(ids[place]))
        with torch.inference_mode():
            for start in range(0, len(order), BATCH):
                places = order[start : start + BATCH]
                vectors = self._encoder(*self._texts.padded([ids[place] for place in places]))
                found[places] = self._layers(vectors)
        return found

    def save(self, folder: Path) -> dict[str, Any]:
        from safetensors.torch import save_file

        from craton.engines.predictor.nets.encoder import WEIGHTS

        for name in COPIED:
            if (self._folder / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(self._folder / name, folder / name)
        save_file(_contiguous(self._encoder.body), folder / WEIGHTS, {"format": "pt"})
        save_file(_contiguous(self._layers), folder / HEAD)
        (folder / DESCRIPTION).write_bytes(msgspec.json.format(msgspec.json.encode(self._head)))
        return {}

    @classmethod
    def load(cls, folder: Path, manifest: Manifest) -> EncoderPredictor:
        """Raises Damaged, Unsupported."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        from craton.engines.predictor.nets.encoder import read_encoder
        from craton.engines.predictor.nets.modules import mlp

        try:
            head = msgspec.json.decode((folder / DESCRIPTION).read_bytes(), type=Head)
            encoder, texts = read_encoder(folder, head.window)
            layers = mlp(head.network, encoder.width, head.outputs)
            layers.load_state_dict(load_file(folder / HEAD))
        except (OSError, msgspec.DecodeError, SafetensorError, RuntimeError) as error:
            raise Damaged(DESCRIPTION, "it does not fit its weights") from error
        return cls(manifest.signature, encoder, texts, head, layers, folder)


def text_of(value: Any) -> str:
    """A missing text is an empty one."""
    return value if isinstance(value, str) else ""


def _contiguous(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.detach().contiguous() for name, value in module.state_dict().items()}
