"""How each family's weights are named, laid out and described in a GGUF file.

Facts are those of llama.cpp's own converter (its `conversion/` folder) and of each model's code in transformers; the
names come from the `gguf` package's TensorNameMap.
"""

from __future__ import annotations

from craton.formats.conversion.architectures.base import Architecture
from craton.formats.conversion.architectures.deepseek import Deepseek
from craton.formats.conversion.architectures.falcon import Falcon
from craton.formats.conversion.architectures.gemma import Gemma, Gemma2, Gemma3
from craton.formats.conversion.architectures.gpt2 import Gpt2
from craton.formats.conversion.architectures.gpt_oss import GptOss
from craton.formats.conversion.architectures.llama import Llama, Qwen2, Qwen3

ARCHITECTURES: dict[str, type[Architecture]] = {
    "deepseek_v2": Deepseek,
    "deepseek_v3": Deepseek,
    "falcon": Falcon,
    "gemma": Gemma,
    "gemma2": Gemma2,
    "gemma3_text": Gemma3,
    "gpt2": Gpt2,
    "gpt_oss": GptOss,
    "llama": Llama,
    "mistral": Llama,
    "qwen2": Qwen2,
    "qwen3": Qwen3,
}
"""transformers' model_type -> how it becomes GGUF."""

__all__ = ["ARCHITECTURES", "Architecture"]
