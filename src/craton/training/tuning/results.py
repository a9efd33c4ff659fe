"""What a tuning leaves: a PEFT repository over its base, or a whole model as safetensors and as one GGUF file.

Nothing here is pickled (the trainers of Hugging Face write training_args.bin, which is).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ADAPTER, CONFIG = "adapter_model.safetensors", "adapter_config.json"
GGUF = "model-f16.gguf"


def write_adapter(model: Any, folder: Path, base: str) -> None:
    """base: its name, with @revision. Source: peft `utils/save_and_load.py`."""
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    tensors = {
        name: value.detach().float().cpu().contiguous() for name, value in get_peft_model_state_dict(model).items()
    }
    save_file(tensors, folder / ADAPTER, {"format": "pt"})
    config = model.peft_config["default"]
    name, _, revision = base.partition("@")
    config.base_model_name_or_path, config.revision, config.inference_mode = name, revision or None, True
    said = {key: sorted(value) if isinstance(value, set) else value for key, value in config.to_dict().items()}
    (folder / CONFIG).write_text(json.dumps(said, indent=2, sort_keys=True, default=str) + "\n")


def rounded(model: Any) -> None:
    """To the numbers that are published, so that what is measured is what is served."""
    import torch

    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(weight.half().float())


def write_whole(model: Any, tokenizer: Any, folder: Path) -> None:
    """Raises Unsupported for an architecture that GGUF has no words for here."""
    import torch

    from craton.formats.conversion import to_gguf

    before = model.config._attn_implementation
    model.to(torch.float16)
    model.config.dtype = torch.float16
    model.config.use_cache = True
    model.save_pretrained(folder)
    model.to(torch.float32)
    model.config.use_cache = False
    model.config._attn_implementation = before
    tokenizer.save_pretrained(folder)
    to_gguf(folder, folder / GGUF, "f16")
