"""Networks of `nets` as predictors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from craton.core.errors import Damaged
from craton.core.predicting import PredictVerb, Signature
from craton.engines.predictor.manifest import Manifest
from craton.engines.predictor.nets.architecture import Network
from craton.engines.predictor.nets.inputs import arrays, input_shape
from craton.engines.predictor.signatures import PREDICTION, PROBABILITIES

if TYPE_CHECKING:
    import pandas as pd
    import torch

    from craton.engines.predictor.nets.modules import NetworkModule
    from craton.engines.predictor.protocol import Column

WEIGHTS, ARCHITECTURE = "model.safetensors", "architecture.json"
MAX_JSON = 64 * 1024 * 1024
BATCH = 256


class NetworkPredictor:
    """Classes by softmax, numbers as they were before they were standardised."""

    def __init__(self, signature: Signature, network: Network, module: NetworkModule) -> None:
        self._signature, self._network, self._module = signature, network, module.eval()

    @property
    def signature(self) -> Signature:
        return self._signature

    def run(self, verb: PredictVerb, rows: pd.DataFrame) -> dict[str, Column]:
        import numpy as np
        import torch

        found = [self._outputs(rows.iloc[start : start + BATCH]) for start in range(0, max(len(rows), 1), BATCH)]
        outputs = torch.cat(found)
        categories = self._signature.outputs["predict"][0].categories
        if not categories:
            module = self._module
            numbers = outputs[:, 0].double() * module.answer_deviation.double() + module.answer_mean.double()
            return {PREDICTION: numbers.numpy()}
        shares = outputs.double().softmax(1).numpy()
        labels: dict[str, Column] = {PREDICTION: np.array(categories, dtype=object)[shares.argmax(axis=1)]}
        return {**labels, PROBABILITIES: shares} if verb == "predict_proba" else labels

    def _outputs(self, rows: pd.DataFrame) -> torch.Tensor:
        import torch

        found, _ = arrays(rows, self._signature.inputs, self._network)
        with torch.inference_mode():
            outputs: torch.Tensor = self._module(torch.from_numpy(found))
        return outputs

    def save(self, folder: Path) -> dict[str, Any]:
        from safetensors.torch import save_file

        tensors = {name: value.contiguous() for name, value in self._module.state_dict().items()}
        save_file(tensors, folder / WEIGHTS)
        (folder / ARCHITECTURE).write_bytes(msgspec.json.format(msgspec.json.encode(self._network)))
        return {}

    @classmethod
    def load(cls, folder: Path, manifest: Manifest) -> NetworkPredictor:
        """Raises Damaged."""
        import torch
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        from craton.engines.predictor.nets.modules import build

        path = folder / ARCHITECTURE
        try:
            if path.stat().st_size > MAX_JSON:
                raise Damaged(ARCHITECTURE, f"it is larger than {MAX_JSON:,} bytes")
            network = msgspec.json.decode(path.read_bytes(), type=Network)
            tensors = load_file(folder / WEIGHTS)
            if input_shape(network.architecture, manifest.signature.inputs) != network.shape.inputs:
                raise Damaged(ARCHITECTURE, "it does not take what the signature says")
            with torch.device("meta"):  # takes no memory, whatever sizes the file claims
                module = build(network)
            module.load_state_dict(tensors, assign=True)
        except (OSError, msgspec.DecodeError, SafetensorError, RuntimeError, ValueError, RecursionError) as error:
            raise Damaged(ARCHITECTURE, "it does not fit its weights") from error
        return cls(manifest.signature, network, module)
