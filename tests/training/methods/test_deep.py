"""Networks learn, stop, go on after a kill as if nothing had been, and come back from their files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from craton.core.errors import Damaged, InvalidRequest
from craton.core.predicting import Field
from craton.training.specification.methods import Deep, Fit
from craton.training.specification.parts import Data, Model
from tests.training.memory import MemoryRun, saved_and_loaded, tables

pytest.importorskip("torch")
pd = pytest.importorskip("pandas")
np = pytest.importorskip("numpy")

from craton.training.methods.deep import memory  # noqa: E402
from craton.training.methods.deep.training import train  # noqa: E402


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    """Small work is done sooner without waiting for each other; and the numbers are the same on every machine."""
    import torch

    torch.set_num_threads(1)


YES = Field("y", "category", categories=("no", "yes"))


def spec(use: str, params: dict[str, Any] | None = None, **fit: Any) -> Deep:
    return Deep(data=Data("made:here", target="y"), model=Model(use, params or {}), train=Fit(**fit))


def table(rows: int = 200) -> Any:
    draw = np.random.default_rng(0)
    frame = pd.DataFrame({"x": draw.normal(size=rows), "z": draw.normal(size=rows) * 100 + 50})
    frame["kind"] = draw.choice(["a", "b"], rows)
    frame["y"] = np.where(frame["x"] + (frame["z"] - 50) / 100 + (frame["kind"] == "a") > 0.5, "yes", "no")
    frame.loc[::20, "x"] = np.nan
    fields = (
        Field("x", "number", nullable=True),
        Field("z", "number"),
        Field("kind", "category", categories=("a", "b")),
    )
    return frame, fields


def digits() -> Any:
    from sklearn.datasets import load_digits

    loaded = load_digits()
    frame = pd.DataFrame({"image": list(loaded.images), "y": loaded.target})
    return frame, (Field("image", "image", shape=(8, 8)),), Field("y", "category", categories=tuple(range(10)))


def texts(rows: int = 160) -> Any:
    draw = np.random.default_rng(0)
    words = ["sun", "rain", "wind", "snow", "fog"]
    said = [" ".join(draw.choice(words, 1 + number % 6)) for number in range(rows)]
    frame = pd.DataFrame({"said": said, "y": ["yes" if "rain" in one else "no" for one in said]})
    return frame, (Field("said", "text"),)


def test_a_table_is_learned_and_comes_back_equal(tmp_path: Path) -> None:
    frame, fields = table(400)
    run = MemoryRun(tmp_path)
    trained = train(
        spec("mlp", {"hidden": [32]}, epochs=15, learning_rate=0.01, precision="bfloat16"),
        tables(frame.iloc[:300], fields, YES, test=frame.iloc[300:]),
        run,
    )
    assert trained.metrics["accuracy"] > 0.85
    assert [step for step, _ in run.curves["validation_loss"]] == list(range(1, len(run.curves["train_loss"]) + 1))
    assert trained.figures[0].png.startswith(b"\x89PNG")
    predictor: Any = trained.predictor
    loaded = saved_and_loaded(predictor, tmp_path / "artifact", "deep")
    ours, theirs = (one.run("predict_proba", frame) for one in (predictor, loaded))
    assert (ours["probabilities"] == theirs["probabilities"]).all()
    assert (ours["prediction"] == theirs["prediction"]).all()


def test_numbers_are_predicted_in_their_own_units(tmp_path: Path) -> None:
    frame, fields = table(300)
    frame["y"] = 1000 + 5 * frame["z"]
    trained = train(
        spec("mlp", epochs=25, learning_rate=0.01, batch=32),
        tables(frame.iloc[:250], fields, Field("y", "number"), test=frame.iloc[250:]),
        MemoryRun(tmp_path),
    )
    assert trained.metrics["r2"] > 0.9
    loaded = saved_and_loaded(trained.predictor, tmp_path / "artifact", "deep")
    assert abs(loaded.run("predict", frame)["prediction"] - frame["y"]).mean() < 200


def test_pictures(tmp_path: Path) -> None:
    frame, fields, target = digits()
    trained = train(
        spec("cnn", {"channels": [8, 16]}, epochs=6, learning_rate=0.01, batch=16),
        tables(frame.iloc[:300], fields, target, test=frame.iloc[300:400]),
        MemoryRun(tmp_path),
    )
    assert trained.metrics["accuracy"] > 0.8
    loaded = saved_and_loaded(trained.predictor, tmp_path / "artifact", "deep")
    predictor: Any = trained.predictor
    one = frame.iloc[:50].assign(image=[value.tolist() for value in frame["image"].iloc[:50]])
    assert (loaded.run("predict", one)["prediction"] == predictor.run("predict", one)["prediction"]).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("use", "params"),
    [
        ("rnn", {"size": 16}),
        ("rnn", {"size": 16, "cell": "lstm", "layers": 2, "tokens": "characters"}),
        ("transformer", {"size": 16, "heads": 2, "layers": 1}),
    ],
)
def test_texts(tmp_path: Path, use: str, params: dict[str, Any]) -> None:
    frame, fields = texts()
    run = MemoryRun(tmp_path)
    trained = train(
        spec(use, {**params, "length": 30}, epochs=12, learning_rate=0.02, batch=16),
        tables(frame.iloc[:120], fields, YES, test=frame.iloc[120:]),
        run,
    )
    assert trained.metrics["accuracy"] > 0.85
    loaded = saved_and_loaded(trained.predictor, tmp_path / "artifact", "deep")
    predictor: Any = trained.predictor
    odd = pd.DataFrame({"said": ["RAIN!", "", None, "never seen words"]})
    ours, theirs = (one.run("predict_proba", odd)["probabilities"] for one in (predictor, loaded))
    assert np.allclose(ours, theirs, 1e-5, 1e-7)  # an LSTM's sums depend on where its weights lie
    assert np.isfinite(ours).all()


@pytest.mark.parametrize("use", ["rnn", "transformer"])
def test_rows_in_sequence(tmp_path: Path, use: str) -> None:
    """A digit as eight lines of eight numbers."""
    frame, fields, target = digits()
    trained = train(
        spec(use, {"size": 32}, epochs=4, learning_rate=0.02, batch=16),
        tables(frame.iloc[:300], fields, target, test=frame.iloc[300:400]),
        MemoryRun(tmp_path),
    )
    assert trained.metrics["accuracy"] > 0.5


def test_texts_that_are_too_long_are_cut_and_counted(tmp_path: Path) -> None:
    frame, fields = texts(60)
    run = MemoryRun(tmp_path)
    train(spec("rnn", {"length": 3, "size": 4}, epochs=1, patience=None), tables(frame, fields, YES), run)
    longer = sum(len(text.split()) > 3 for text in frame["said"])
    assert run.warnings == [
        f"{longer} of 60 texts have more than 3 words: the rest of them is cut off (model.params.length)"
    ]


def test_it_stops_when_it_gets_no_better_and_keeps_the_best(tmp_path: Path) -> None:
    frame, fields = table(60)
    frame["y"] = np.random.default_rng(1).choice(["no", "yes"], len(frame))
    run = MemoryRun(tmp_path)
    train(spec("mlp", epochs=200, patience=3, learning_rate=0.01), tables(frame, fields, YES), run)
    judged = [value for _, value in run.curves["validation_loss"]]
    assert len(judged) == judged.index(min(judged)) + 1 + 3
    assert any(f"the weights of epoch {judged.index(min(judged)) + 1} are kept" in line for line in run.lines)


def test_a_diverging_loss_stops_the_run_and_says_so(tmp_path: Path) -> None:
    frame, fields = table()
    frame["y"] = frame["z"]
    data = tables(frame, fields, Field("y", "number"))
    with pytest.raises(InvalidRequest, match=r"it diverges. Try a tenth of 1e\+06") as caught:
        train(spec("mlp", learning_rate=1e6, clip=None, epochs=100, patience=None), data, MemoryRun(tmp_path))
    assert caught.value.field == "train.learning_rate"


def test_what_cannot_be_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame, fields = table(50)
    data = tables(frame, fields, YES)
    run = MemoryRun(tmp_path)
    for bad, word in (
        (spec("mpl"), "did you mean 'mlp'"),
        (spec("mlp", {"hiden": [3]}), "did you mean 'hidden'"),
        (spec("mlp", {"hidden": [0]}), ">= 1"),
        (spec("cnn"), "one column of pictures"),
        (spec("transformer", {"size": 10, "heads": 3}), "multiple of heads"),
    ):
        with pytest.raises(InvalidRequest, match=word):
            train(bad, data, run)
    monkeypatch.setattr(memory, "available", lambda: 400 << 20)
    with pytest.raises(InvalidRequest, match="GB are free"):
        train(spec("mlp", {"hidden": [8192, 8192]}), data, run)


def test_files_that_do_not_fit_each_other_are_damaged(tmp_path: Path) -> None:
    frame, fields = table(50)
    trained = train(spec("mlp", epochs=1), tables(frame, fields, YES), MemoryRun(tmp_path))
    saved_and_loaded(trained.predictor, tmp_path / "artifact", "deep")
    from craton.engines.predictor.manifest import read_manifest
    from craton.engines.predictor.networks import NetworkPredictor

    folder = tmp_path / "artifact"
    manifest = read_manifest(folder / "model.json")
    document = json.loads((folder / "architecture.json").read_bytes())
    document["architecture"]["hidden"] = [60000, 60000]  # 14 GB, were they made
    (folder / "architecture.json").write_text(json.dumps(document))
    with pytest.raises(Damaged):
        NetworkPredictor.load(folder, manifest)


CHILD = """
import sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from craton.training.methods.deep import loop
loop.SECONDS = 0.0
from tests.training.methods import test_deep
test_deep.learn(Path(sys.argv[1]), float(sys.argv[2]))
"""


def learn(folder: Path, pause: float) -> None:
    """What the child process of the test below does: curves on its output, weights in the folder."""
    import torch
    from safetensors.torch import save_file

    torch.set_num_threads(1)
    frame, fields = table(120)
    run = MemoryRun(folder, stop=lambda: time.sleep(pause))
    metric = run.metric
    run.metric = lambda name, value, step=None: (metric(name, value, step), print(name, step, flush=True))[0]  # type: ignore[method-assign]
    trained = train(
        spec("mlp", {"dropout": 0.5}, epochs=8, batch=16, learning_rate=0.01, patience=None),
        tables(frame, fields, YES, validation=frame.iloc[:30]),
        run,
    )
    predictor: Any = trained.predictor
    save_file(predictor._module.state_dict(), folder / "result.safetensors")
    (folder / "curves.json").write_bytes(msgspec.json.encode({"curves": run.curves, "lines": run.lines}))


@pytest.mark.slow
def test_killed_at_any_moment_it_goes_on_to_the_same_numbers(tmp_path: Path) -> None:
    """kill -9 in an epoch and at a moment by chance; curves and weights equal those of a run that nobody disturbed."""
    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"
    undisturbed.mkdir()
    disturbed.mkdir()
    learn(undisturbed, 0.0)
    moment = int.from_bytes(os.urandom(1))
    with _child(disturbed, 0.02) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if line == f"train_loss {1 + moment % 6}\n":
                time.sleep(0.001 * (moment % 150))
                break
        os.kill(child.pid, signal.SIGKILL)
    with _child(disturbed, 0.0) as child:
        said, _ = child.communicate(timeout=120)
    assert child.returncode == 0, said
    assert (disturbed / "result.safetensors").read_bytes() == (undisturbed / "result.safetensors").read_bytes()
    one, other = (json.loads((folder / "curves.json").read_bytes()) for folder in (undisturbed, disturbed))
    assert {name: dict(points) for name, points in one["curves"].items()} == {
        name: dict(points) for name, points in other["curves"].items()
    }
    assert any("goes on in epoch" in line for line in other["lines"])


def _child(folder: Path, pause: float) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(folder), str(pause)], stdout=subprocess.PIPE, text=True, env=_environment()
    )


def _environment() -> dict[str, str]:
    root = Path(__file__).parents[3]
    return {**os.environ, "PYTHONPATH": f"{root / 'src'}{os.pathsep}{root}"}
