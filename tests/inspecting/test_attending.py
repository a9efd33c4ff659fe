"""What a head attends to is what transformers says it does: over safetensors and GGUF, with an adapter, in encoders."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

from craton.core.errors import ContextExceeded, InvalidRequest, TooLarge
from craton.inspecting.attending import look
from craton.inspecting.frames import Look, Source
from craton.inspecting.values import Seen
from tests.engines.llama_cpp.tiny_llama import HEADS, LAYERS, Lora, random_weights
from tests.inspecting.tiny import IDS, TEXT, attentions, llama, save_bert, save_gguf, save_llama


def order(
    files: dict[str, str],
    text: str = TEXT,
    *,
    layer: int | None = None,
    head: int | None = None,
    overlay: dict[str, str] | None = None,
    picture: bool = False,
) -> Look:
    return Look(Source("acme/tiny", files, overlay or {}), text, layer, head, picture, 4096, 60.0)


def grids(seen: Seen) -> np.ndarray:
    size = len(seen.pieces)
    return np.frombuffer(seen.weights, dtype="<f4").reshape(seen.layers, seen.heads, size, size)


def test_it_is_what_transformers_says(tmp_path: Path) -> None:
    seen = look(order(save_llama(tmp_path / "tiny")))
    assert [piece.id for piece in seen.pieces] == IDS
    assert (seen.layers, seen.heads) == (LAYERS, HEADS)
    found = grids(seen)
    assert np.abs(found - attentions(llama(), IDS)).max() < 1e-6
    assert np.allclose(found.sum(-1), 1, atol=1e-5)
    assert not np.triu(found, 1).any()  # nobody looks at what comes later


def test_a_gguf_file_is_the_same_model(tmp_path: Path) -> None:
    found = grids(look(order(save_gguf(tmp_path / "tiny"))))
    assert np.abs(found - attentions(llama(), IDS)).max() < 1e-4


def test_an_adapter_is_applied(tmp_path: Path) -> None:
    files, lora = save_gguf(tmp_path / "tiny"), Lora(rank=4, alpha=8)
    found = grids(look(order(files, overlay=lora.save(tmp_path / "lora"))))
    merged = attentions(llama(lora.merged(random_weights(), 2.0)), IDS)
    assert np.abs(found - merged).max() < 1e-4
    assert np.abs(found - grids(look(order(files)))).max() > 0.05


def test_an_encoder_looks_both_ways(tmp_path: Path) -> None:
    model, files = save_bert(tmp_path / "bert")
    found = grids(look(order(files)))
    assert found.shape[:2] == (3, 2)
    assert np.abs(found - attentions(model, IDS)).max() < 1e-6
    assert np.triu(found, 1).any()


def test_one_layer_and_one_head_are_that_part_of_all(tmp_path: Path) -> None:
    files = save_llama(tmp_path / "tiny")
    whole = grids(look(order(files)))
    layer = look(order(files, layer=1))
    assert layer.chosen == tuple((1, head) for head in range(HEADS))
    one = look(order(files, layer=1, head=2))
    assert one.chosen == ((1, 2),)
    size = len(IDS)
    assert (np.frombuffer(one.weights, dtype="<f4").reshape(size, size) == whole[1, 2]).all()


def test_what_is_too_much_or_not_there_is_refused_with_its_bound(tmp_path: Path) -> None:
    files = save_llama(tmp_path / "tiny")
    with pytest.raises(InvalidRequest, match="from 0 to 1"):
        look(order(files, layer=2))
    with pytest.raises(InvalidRequest, match="from 0 to 3"):
        look(order(files, head=4))
    with pytest.raises(ContextExceeded):
        look(order(files, "w1 " * 200))
    with pytest.raises(TooLarge, match="256"):
        look(order(files, "w1 " * 300))


@pytest.mark.parametrize(("layer", "head"), [(None, None), (1, None), (1, 2)])
def test_a_picture_is_drawn_of_all_one_layer_or_one_head(tmp_path: Path, layer: int | None, head: int | None) -> None:
    image = pytest.importorskip("PIL.Image")
    seen = look(order(save_llama(tmp_path / "tiny"), layer=layer, head=head, picture=True))
    drawn = image.open(io.BytesIO(seen.picture)).convert("RGB")
    assert min(drawn.size) > 300
    colours = {colour for _, colour in drawn.getcolors(1 << 24)}
    assert len(colours) > 20  # shades, and not one empty field
