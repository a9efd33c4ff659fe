"""Embeddings of BERT-type models, straight from safetensors: an OpenVINO graph, no torch.

Runs inside a worker process only: importing this package imports numpy and OpenVINO.
"""

# Importing openvino imports its analytics sender, which writes an id under the home folder and opens connections.
# An empty module in its place makes that import fail, and openvino then goes on without it.
import sys
from types import ModuleType

sys.modules["openvino_telemetry"] = ModuleType("openvino_telemetry")

from craton.engines.bert.engine import BertEngine  # noqa: E402 (openvino must not be imported before the line above)

__all__ = ["BertEngine"]
