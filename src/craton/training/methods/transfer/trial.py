"""A tuned encoder is loaded in a fresh process, and must give the vectors that it gave where it was tuned."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from craton.core.errors import Damaged
from craton.training.fresh import answer, ask

if TYPE_CHECKING:
    from craton.engines.predictor.nets.encoder import Encoder, Texts

RELATIVE, ABSOLUTE = 1e-5, 1e-6  # of float32, whose sums may be taken in another order


class Request(Struct, frozen=True):
    """window: tokens of the longest text."""

    folder: str
    window: int
    texts: list[str]


class Answer(Struct, frozen=True):
    """vectors: one for each text, as the layers give them."""

    vectors: list[list[float]]


def try_out(encoder: Encoder, texts: Texts, folder: Path, said: list[str]) -> None:
    """Raises Damaged when what was written cannot be loaded, or gives other vectors."""
    import torch

    answered = ask(__name__, Request(str(folder), texts.window, said), Answer, "the tuned encoder")
    if not torch.allclose(
        torch.tensor(_vectors(encoder, texts, said)), torch.tensor(answered.vectors), RELATIVE, ABSOLUTE
    ):
        raise Damaged("the tuned encoder", "it gives other vectors once it is loaded again")


def _vectors(encoder: Encoder, texts: Texts, said: list[str]) -> list[list[float]]:
    import torch

    encoder.eval()
    with torch.no_grad():
        found: list[list[float]] = encoder(*texts.padded(texts.ids(said)[0])).float().tolist()
    return found


def _work(request: Request) -> Answer:
    from craton.engines.predictor.nets.encoder import read_encoder

    encoder, texts = read_encoder(Path(request.folder), request.window)
    return Answer(_vectors(encoder, texts, request.texts))


if __name__ == "__main__":
    answer(Request, _work)
