"""An encoder put to another use: heads, thawing, tuning on pairs; the result is an embedder like any other."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from craton.core.errors import Damaged, InvalidRequest
from craton.core.predicting import Field
from craton.training.specification.methods import Fit, Transfer
from craton.training.specification.parts import Data, Model
from tests.training.memory import MemoryRun, saved_and_loaded, tables
from tests.training.methods.conftest import WORDS

pytest.importorskip("torch")
pytest.importorskip("transformers")
pd = pytest.importorskip("pandas")
np = pytest.importorskip("numpy")

from craton.training.methods.transfer.layers import Thawing  # noqa: E402
from craton.training.methods.transfer.training import train  # noqa: E402
from craton.training.methods.transfer.trial import try_out  # noqa: E402

TARGET = Field("y", "category", categories=("no", "yes"))


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def spec(use: str, tune: Any, params: dict[str, Any] | None = None, **fit: Any) -> Transfer:
    data = Data("made:here", target="y" if use == "encoder" else None)
    return Transfer(data=data, model=Model(use, params or {}), base="tiny", tune=tune, train=Fit(**fit))


def said(rows: int = 120) -> Any:
    draw = np.random.default_rng(0)
    texts = [" ".join(draw.choice(WORDS[:10], 1 + number % 6)) for number in range(rows)]
    return pd.DataFrame({"said": texts, "y": ["yes" if "rain" in text else "no" for text in texts]})


def pairs(rows: int = 90) -> Any:
    """Each question has words of its own, and its answer other ones."""
    draw = np.random.default_rng(1)
    found = []
    for _ in range(rows):
        first, second = draw.choice(5, 2, replace=False)
        found.append((f"what is the {WORDS[first]} {WORDS[second]}", f"{WORDS[first + 5]} {WORDS[second + 5]}"))
    return pd.DataFrame(found, columns=["question", "answer"])


PAIR = (Field("question", "text"), Field("answer", "text"))


@pytest.mark.parametrize("tune", ["frozen", "gradual", "full"])
def test_a_head_is_learned_and_comes_back_equal(base: Path, tune: str, tmp_path: Path) -> None:
    frame = said()
    run = MemoryRun(tmp_path, repositories={"model:tiny": base})
    trained = train(
        spec("encoder", tune, {"encoder_rate": 3e-3}, epochs=10, batch=16, learning_rate=0.02),
        tables(frame.iloc[:90], (Field("said", "text"),), TARGET, test=frame.iloc[90:]),
        run,
    )
    assert trained.metrics["accuracy"] > 0.75
    loaded = saved_and_loaded(trained.predictor, tmp_path / "artifact", "transfer")
    predictor: Any = trained.predictor
    odd = pd.DataFrame({"said": ["rain", None, "", "wind " * 40]})
    for rows in (frame, odd):
        ours, theirs = (one.run("predict_proba", rows)["probabilities"] for one in (predictor, loaded))
        assert np.allclose(ours, theirs, 1e-5, 1e-7)
    document = json.loads((tmp_path / "artifact" / "config.json").read_bytes())
    document["hidden_size"] = 40_000
    (tmp_path / "artifact" / "config.json").write_text(json.dumps(document))
    from craton.engines.predictor.encoders import EncoderPredictor
    from craton.engines.predictor.manifest import read_manifest

    with pytest.raises(Damaged):
        EncoderPredictor.load(tmp_path / "artifact", read_manifest(tmp_path / "artifact" / "model.json"))


def test_layers_thaw_from_the_top(base: Path) -> None:
    import torch

    from craton.engines.predictor.nets.encoder import read_encoder

    encoder, _ = read_encoder(base)
    head = torch.nn.Linear(32, 2)

    def learning(tune: Any, epoch: int) -> list[bool]:
        groups = Thawing(encoder, head, tune, 1e-3, 1e-5)(epoch)
        return [all(one.requires_grad for one in group["params"]) for group in groups]

    assert learning("frozen", 5) == [True, False, False, False]
    assert [learning("gradual", epoch) for epoch in range(4)] == [
        [True, False, False, False],
        [True, True, False, False],
        [True, True, True, False],
        [True, True, True, True],
    ]
    assert learning("full", 0) == [True] * 4
    rates = [group["lr"] for group in Thawing(encoder, head, "gradual", 1e-3, 2.6e-5)(0)]
    assert rates == pytest.approx([1e-3, 2.6e-5, 1e-5, 1e-5 / 2.6])


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["mnr", "info-nce"])
def test_pairs_bring_questions_nearer_to_their_answers(base: Path, loss: str, tmp_path: Path) -> None:
    frame = pairs()
    run = MemoryRun(tmp_path, repositories={"model:tiny": base})
    trained = train(
        spec("contrastive", "full", {"loss": loss, "encoder_rate": 3e-3}, epochs=8, batch=16),
        tables(frame.iloc[:60], PAIR, None, test=frame.iloc[60:]),
        run,
    )
    assert trained.predictor is None
    assert trained.metrics["ndcg_at_10"] > trained.metrics["ndcg_at_10_before"] + 0.05
    assert trained.metrics["recall_at_10"] >= trained.metrics["recall_at_10_before"]
    assert trained.folder is not None
    names = {path.name for path in trained.folder.iterdir()}
    assert names >= {"config.json", "model.safetensors", "tokenizer.json", "modules.json", "1_Pooling"}
    assert "README.md" not in names


def test_equal_texts_are_no_negatives(base: Path, tmp_path: Path) -> None:
    """Three times the same pair: nothing is wrong with them, so nothing is lost."""
    import torch

    from craton.engines.predictor.nets.encoder import read_encoder
    from craton.training.methods.transfer.contrastive import _Batch
    from craton.training.methods.transfer.settings import Pairs

    frame = pairs(1).loc[[0, 0, 0]].reset_index(drop=True)
    encoder, texts = read_encoder(base)
    batch = _Batch(frame, ("question", "answer"), encoder, texts, Pairs(), MemoryRun(tmp_path))
    assert float(batch.loss(torch.arange(3)).detach()) == pytest.approx(0.0, abs=1e-6)


def test_sentence_transformers_reads_the_result(base: Path, tmp_path: Path) -> None:
    """The library itself gives the vectors that were trained."""
    import torch
    from sentence_transformers import SentenceTransformer

    from craton.engines.predictor.nets.encoder import read_encoder
    from craton.training.methods.transfer.contrastive import vectors, write_encoder

    encoder, texts = read_encoder(base)
    folder = write_encoder(encoder, base, tmp_path / "result", "tiny")
    some = ["what is the sun", "rain", "hot cold wet"]
    theirs = SentenceTransformer(str(folder), device="cpu").encode(some, normalize_embeddings=True)
    assert np.allclose(vectors(encoder, texts, some, MemoryRun(tmp_path)).numpy(), theirs, atol=1e-5)
    assert torch.get_num_threads() == 1


@pytest.mark.slow
def test_a_fresh_process_finds_out_what_was_written_otherwise(base: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    from craton.engines.predictor.nets.encoder import read_encoder

    encoder, texts = read_encoder(base, 16)
    other = tmp_path / "other"
    shutil.copytree(base, other)
    weights = load_file(other / "model.safetensors")
    weights["embeddings.word_embeddings.weight"] += 0.01 * weights["embeddings.word_embeddings.weight"].roll(1, 0)
    save_file(weights, other / "model.safetensors", {"format": "pt"})
    with pytest.raises(Damaged, match="other vectors"):
        try_out(encoder, texts, other, ["what is wet"])


def test_what_cannot_be_is_refused(base: Path, tmp_path: Path) -> None:
    run = MemoryRun(tmp_path, repositories={"model:tiny": base})
    texts, together = said(40), pairs(40)
    one = (Field("said", "text"),)
    for asked, data, word in (
        (spec("encoder", "full", {"hiden": [1]}), tables(texts, one, TARGET), "did you mean 'hidden'"),
        (spec("encodr", "full"), tables(texts, one, TARGET), "did you mean 'encoder'"),
        (spec("encoder", "full"), tables(texts, one, None), "to be predicted"),
        (spec("encoder", "full"), tables(together, PAIR, TARGET), "one column of text"),
        (spec("contrastive", "frozen"), tables(together, PAIR, None), "nothing would learn"),
        (spec("contrastive", "full"), tables(texts, one, None), "two columns of text"),
        (spec("contrastive", "full", batch=1), tables(together, PAIR, None), "at least 2"),
    ):
        with pytest.raises(InvalidRequest, match=word):
            train(asked, data, run)
