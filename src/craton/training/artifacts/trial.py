"""A finished artifact is loaded in a process that never saw the training, and must predict what was predicted there.

`python -m craton.training.artifacts.trial PARENT`, started while the training still runs: it imports the libraries
meanwhile, then reads one request (its length, then msgpack) and answers with the predictions.
"""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec
from msgspec import Struct

from craton.children.importing import uncollected
from craton.children.limits import die_with
from craton.children.process import clean_environment
from craton.core.errors import CratonError, Damaged
from craton.core.predicting import PredictVerb
from craton.engines.predictor.importing import import_alone
from craton.engines.predictor.loaders import load
from craton.engines.predictor.protocol import Predictor
from craton.training.artifacts.columns import to_lists, to_rows

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

ROWS = 200  # that are compared
SECONDS = 300.0
RELATIVE, ABSOLUTE = 1e-5, 1e-7  # of float32, whose sums may be taken in another order
_HEAD = struct.Struct(">Q")


class Request(Struct, frozen=True):
    folder: str
    columns: dict[str, list[Any]]
    verbs: tuple[PredictVerb, ...]


class Answer(Struct, frozen=True):
    """outputs: verb -> output -> a value for each row. error: "" unless it could not be loaded."""

    outputs: dict[str, dict[str, list[Any]]] = {}
    error: str = ""


class Trial:
    """The process. `start` early, `begin` once the artifact is written, `end` when nothing else is to be done, `close`
    whatever happened; all in one thread."""

    def __init__(self, modules: tuple[str, ...] = ()) -> None:
        """modules: imported while it waits."""
        self._modules = modules
        self._process: subprocess.Popen[bytes] | None = None
        self._asking = ThreadPoolExecutor(1, "craton-trial")
        self._answer: Future[tuple[bytes, bytes]] | None = None
        self._expected: dict[PredictVerb, dict[str, np.ndarray[Any, Any]]] = {}

    def start(self) -> None:
        command = [
            sys.executable,
            "-s",
            "-P",
            "-m",
            "craton.training.artifacts.trial",
            str(os.getpid()),
            *self._modules,
        ]
        self._process = subprocess.Popen(
            command,
            env=clean_environment(os.environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def begin(self, folder: Path, predictor: Predictor, rows: pd.DataFrame) -> int:
        """rows: as the predictor takes them. Returns how many of them are compared; `end` says how."""
        verbs: tuple[PredictVerb, ...] = tuple(verb for verb, fields in predictor.signature.outputs.items() if fields)
        columns = to_lists(rows.head(ROWS), predictor.signature.inputs)
        request = msgspec.msgpack.encode(Request(str(folder), columns, verbs))
        if self._process is None:
            self.start()
        assert self._process is not None
        self._answer = self._asking.submit(self._process.communicate, _framed(request), SECONDS)
        given = to_rows(columns, predictor.signature.inputs)
        self._expected = {verb: predictor.run(verb, given) for verb in verbs}
        return len(given)

    def end(self) -> None:
        """Raises Damaged when what was saved cannot be loaded, or answers otherwise."""
        answer = self._received()
        if answer.error:
            raise Damaged("the trained model", f"it cannot be loaded again: {answer.error}")
        for verb, outputs in self._expected.items():
            for name, values in outputs.items():
                if not same(values, answer.outputs[verb][name]):
                    raise Damaged("the trained model", f"its {name!r} differs once it is loaded again")

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._asking.shutdown()
            self._process.communicate()
            self._process = None

    def _received(self) -> Answer:
        assert self._process is not None
        assert self._answer is not None
        try:
            output, _ = self._answer.result()
        except subprocess.TimeoutExpired:
            raise Damaged("the trained model", f"it did not answer within {SECONDS:.0f} seconds") from None
        if self._process.returncode or len(output) < _HEAD.size:
            raise Damaged("the trained model", "the process that loaded it again did not survive it")
        return msgspec.msgpack.decode(output[_HEAD.size :], type=Answer)


def same(first: np.ndarray[Any, Any], second: list[Any]) -> bool:
    """Labels must be equal; numbers may differ as much as the order of a sum in float32 makes them."""
    import numpy as np

    if first.dtype == object and not len(first):
        return not second
    if first.dtype.kind in "fc" or (first.dtype == object and isinstance(first[0], float)):
        other = np.array(second, dtype=np.float64).reshape(first.shape)
        return bool(np.allclose(first.astype(np.float64), other, RELATIVE, ABSOLUTE, equal_nan=True))
    return bool(first.tolist() == second)


def main() -> None:
    die_with(int(sys.argv[1]))
    output = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # libraries that talk do not spoil the answer
    for module in sys.argv[2:]:
        with suppress(ImportError), uncollected():  # whoever needs it says so
            import_alone(module)
    request = msgspec.msgpack.decode(_read(sys.stdin.buffer), type=Request)
    output.write(_framed(msgspec.msgpack.encode(_answer(request))))
    output.close()
    os._exit(0)  # the training waits for the end, and taking the libraries apart in memory takes a third of a second


def _answer(request: Request) -> Answer:
    try:
        predictor = load(Path(request.folder))
    except CratonError as error:
        return Answer(error=str(error))
    rows = to_rows(request.columns, predictor.signature.inputs)
    return Answer(
        {verb: {name: values.tolist() for name, values in predictor.run(verb, rows).items()} for verb in request.verbs}
    )


def _framed(content: bytes) -> bytes:
    return _HEAD.pack(len(content)) + content


def _read(stream: BinaryIO) -> bytes:
    (length,) = _HEAD.unpack(stream.read(_HEAD.size))
    return stream.read(length)


if __name__ == "__main__":
    main()
