"""diffusers: a tiny random pipeline, its parts in folders of their own, to the hub and back."""

from __future__ import annotations

import tempfile
import uuid
from pathlib import Path
from typing import Any

import torch
from checks import equal, holds, run
from diffusers import DDIMScheduler, DDPMPipeline, DDPMScheduler, DiffusionPipeline, UNet2DModel
from huggingface_hub import HfApi

api: Any = HfApi()
work = tempfile.TemporaryDirectory()
folder = Path(work.name)
torch.manual_seed(1)


def new_name() -> str:
    return f"compat/drawing-{uuid.uuid4().hex[:12]}"


def cache() -> Path:
    return folder / uuid.uuid4().hex


def pipeline() -> Any:
    unet = UNet2DModel(
        sample_size=8,
        in_channels=1,
        out_channels=1,
        layers_per_block=1,
        block_out_channels=(32, 64),
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
    )
    return DDPMPipeline(unet=unet, scheduler=DDPMScheduler(num_train_timesteps=10))


def drawn(by: Any) -> Any:
    by.set_progress_bar_config(disable=True)
    return by(num_inference_steps=2, output_type="np", generator=torch.Generator().manual_seed(7)).images


def same(found: Any, made: Any) -> None:
    """Weight for weight. What they draw may differ by a rounding, also without a hub."""
    weights = zip(found.unet.parameters(), made.unet.parameters(), strict=True)
    equal(all(torch.equal(one, other) for one, other in weights), True)
    holds(abs(drawn(found) - drawn(made)).max() < 1e-5, "they draw different things")


def a_pipeline_and_back() -> None:
    made, name = pipeline(), new_name()
    made.push_to_hub(name, private=True)
    found = DiffusionPipeline.from_pretrained(name, cache_dir=cache())
    equal(type(found).__name__, "DDPMPipeline")
    same(found, made)


def one_part_of_it() -> None:
    made, name = pipeline(), new_name()
    made.push_to_hub(name)
    unet: Any = UNet2DModel.from_pretrained(name, subfolder="unet", cache_dir=cache())
    equal(
        all(torch.equal(one, other) for one, other in zip(unet.parameters(), made.unet.parameters(), strict=True)), True
    )
    equal(DDIMScheduler.from_pretrained(name, subfolder="scheduler", cache_dir=cache()).config.num_train_timesteps, 10)


def a_revision_is_pinned() -> None:
    first, second, name = pipeline(), pipeline(), new_name()
    first.push_to_hub(name)
    api.create_tag(name, tag="v1")
    second.push_to_hub(name)
    load = DiffusionPipeline.from_pretrained
    same(load(name, revision="v1", cache_dir=cache()), first)
    same(load(name, cache_dir=cache()), second)


run([a_pipeline_and_back, one_part_of_it, a_revision_is_pinned])
