"""The adapters that one llama.cpp server holds, and what a request says to have one of them applied."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from craton.core.chat import Json
from craton.core.errors import CratonError, Damaged, ModelUnavailable
from craton.engines.llama_cpp.adapting import Ask, Effect, convert
from craton.engines.protocol import AdapterSpec


class Adapters:
    """`files` are their GGUF files, in the order in which llama.cpp numbers them. refused: what is wrong with those
    that are not among them, by key. One that cannot be used costs the others nothing."""

    def __init__(self, specs: Sequence[AdapterSpec]) -> None:
        self._specs = specs
        self._numbers: dict[str, int] = {}
        self.files: list[Path] = []
        self.refused: dict[str, CratonError] = {}

    @contextmanager
    def converted(self, base: str) -> Iterator[None]:
        """Their files are there for the length of the block. base: the local path of the GGUF file they are for.

        Raises the error of an adapter that is the only one.
        """
        folder = Path(tempfile.mkdtemp(prefix="craton-adapters-"))  # made with mode 0700
        try:
            for spec in self._specs:
                path = folder / f"{len(self.files)}.gguf"
                try:
                    convert(spec.files, base, path)
                except CratonError as error:
                    self._refuse(spec, error)
                except OSError:
                    self._refuse(spec, Damaged(spec.model, "its files cannot be read"))
                else:
                    self._numbers[spec.key] = len(self.files)
                    self.files.append(path)
            yield
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def check(self, model: str, ask: Ask) -> None:
        """Refuses those that change nothing, unless they were found to do so before."""
        effect = Effect(model, ask)
        for spec in self._specs:
            if spec.key in self._numbers and not spec.proven:
                try:
                    effect.check(spec.model, self._numbers[spec.key])
                except CratonError as error:
                    del self._numbers[spec.key]
                    self._refuse(spec, error)

    def applied(self, key: str) -> Json:
        """The part of a request's body that has one applied; the key "" for none.

        It always says something: llama.cpp keeps a slot's prompt for a request that names no adapter, whichever one
        computed it (server-context.cpp, `launch_slot_with_task`), and its answer would be neither's.
        """
        if not self.files:
            return {}
        if not key:
            return {"lora": [{"id": 0, "scale": 0.0}]}
        if key not in self._numbers:
            raise ModelUnavailable(self.model(key, "this adapter"), "it is not loaded")
        return {"lora": [{"id": self._numbers[key], "scale": 1.0}]}

    def model(self, key: str, otherwise: str) -> str:
        """The name that errors tell to who asked for this adapter."""
        return next((spec.model for spec in self._specs if spec.key == key), otherwise)

    def _refuse(self, spec: AdapterSpec, error: CratonError) -> None:
        if len(self._specs) == 1:
            raise error
        self.refused[spec.key] = error
