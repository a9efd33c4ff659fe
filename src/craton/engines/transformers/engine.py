"""The transformers engine: chat over one causal language model, token by token."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from craton.core.chat import ChatRequest
from craton.core.errors import ContextExceeded, CratonError, InvalidRequest, ModelFailed, Unsupported
from craton.core.events import Event, Stop, StopReason, TokenLogprob, Usage
from craton.core.model import Capabilities, EmbedAnswer, EmbedRequest, ScoreAnswer, ScoreRequest
from craton.core.predicting import PredictAnswer, PredictorRequest
from craton.engines.llama_cpp.limits import check
from craton.engines.protocol import EngineSpec
from craton.engines.templates import part_text, render, template_messages
from craton.engines.transformers.loading import load
from craton.engines.transformers.sampling import Chosen, Sampler
from craton.engines.transformers.writing import OPEN, Writer

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

CHUNK = 256
"""Tokens of a prompt that are computed at once: between two chunks a request can be cancelled."""
MAX_TOP_LOGPROBS = 20
CHANNEL = "<|channel|>"


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """As the operator wrote it. context: tokens of one request. dtype: float32 is the fastest where the CPU knows no
    other. parallel: how many requests may wait together; they are answered one after the other."""

    context: Annotated[int, Meta(ge=16, le=2**24)] = 8192
    threads: Annotated[int, Meta(ge=1, le=1024)] | None = None
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    parallel: Annotated[int, Meta(ge=1, le=256)] = 1


class TransformersEngine:
    """Implements `craton.engines.protocol.Engine`. Belongs to one event loop."""

    def __init__(self, spec: EngineSpec, model: Any, tokenizer: Tokenizer, context: int) -> None:
        self._name, self._model, self._tokenizer, self._context = spec.model, model, tokenizer, context
        self._template = spec.info.chat_template
        self._bos, self._eos = self._special("bos"), self._special("eos")
        self._ends = _ends(model)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="transformers")

    @classmethod
    def load(cls, spec: EngineSpec) -> TransformersEngine:
        """Raises InvalidRequest for bad options, Unsupported and Damaged for files that it cannot run."""
        try:
            options = msgspec.convert(spec.options, Options)
        except msgspec.ValidationError as error:
            raise InvalidRequest(str(error), "options") from None
        model, tokenizer = load(spec.model, spec.files, options.dtype)
        if options.threads is not None:
            import torch

            torch.set_num_threads(options.threads)
        trained = spec.info.context_length or options.context
        engine = cls(spec, model, tokenizer, min(trained, options.context))
        if CHANNEL in (spec.info.chat_template or ""):
            raise Unsupported(
                f"Running {spec.model} on transformers",
                "It answers in channels (gpt-oss), which llama.cpp tells apart: `craton models convert`.",
            )
        if spec.info.chat_template is not None:
            engine._rendered([{"role": "user", "content": "Hi"}], {})
        return engine

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            verbs=("chat",) if self._template is not None else (),
            reasoning=OPEN in (self._template or ""),
            top_logprobs=MAX_TOP_LOGPROBS,
            seed=True,
            logit_bias=True,
            penalties=True,
        )

    async def chat(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        """Answers. Raises ContextExceeded, InvalidRequest or Unsupported before any event; ModelFailed at any time."""
        prompt, thinking = self._prompt(request)
        if len(prompt) >= self._context:
            raise ContextExceeded(self._name, self._context, len(prompt))
        loop, left = asyncio.get_running_loop(), threading.Event()
        events: asyncio.Queue[Event | Exception | None] = asyncio.Queue()

        def tell(one: Event | Exception | None) -> None:
            loop.call_soon_threadsafe(events.put_nowait, one)

        def work() -> None:
            try:
                for event in self._answer(request, prompt, thinking, left.is_set):
                    tell(event)
            except Exception as error:
                tell(error)
            finally:
                tell(None)

        job = self._thread.submit(work)
        try:
            while (one := await events.get()) is not None:
                if isinstance(one, CratonError):
                    raise one
                if isinstance(one, Exception):
                    raise ModelFailed(self._name, "its engine failed") from one
                yield one
        finally:
            left.set()
            if not job.cancel():
                with contextlib.suppress(Exception):
                    await asyncio.shield(asyncio.wrap_future(job))

    async def embed(self, request: EmbedRequest) -> EmbedAnswer:
        raise Unsupported("embedding with a chat model", "Use an embedding model such as all-minilm-l6-v2.")

    async def score(self, request: ScoreRequest) -> ScoreAnswer:
        raise Unsupported("scoring with a chat model")

    async def predict(self, request: PredictorRequest) -> PredictAnswer:
        raise Unsupported("predicting with a chat model")

    async def count_tokens(self, request: ChatRequest) -> int:
        return len(self._prompt(request)[0])

    async def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    # --- the prompt -----------------------------------------------------------------------------------------

    def _prompt(self, request: ChatRequest) -> tuple[list[int], bool]:
        """Its tokens, and whether it ends inside the model's thoughts."""
        if self._template is None:
            raise Unsupported(f"chat with {self._name}, which has no chat template")
        check(request, 1)
        if request.tools or request.output_schema is not None:
            raise Unsupported("Tools and output schemas on the transformers engine", "Convert the model to GGUF.")
        variables: dict[str, Any] = {}
        if request.reasoning is not None:
            variables["enable_thinking"] = request.reasoning.enabled
        text = self._rendered(template_messages(request.messages, part_text(request.system)), variables)
        ids = self._tokenizer.encode(text, add_special_tokens=not (self._bos and text.startswith(self._bos))).ids
        return list(ids), text.rstrip().endswith(OPEN)

    def _rendered(self, messages: list[dict[str, Any]], variables: dict[str, Any]) -> str:
        assert self._template is not None
        return render(self._template, messages, bos_token=self._bos, eos_token=self._eos, **variables)

    def _special(self, name: str) -> str:
        number = getattr(self._model.config, f"{name}_token_id", None)
        number = number[0] if isinstance(number, list) and number else number
        return (self._tokenizer.id_to_token(number) or "") if isinstance(number, int) else ""

    # --- the answer, in the engine's thread -----------------------------------------------------------------

    def _answer(
        self, request: ChatRequest, prompt: list[int], thinking: bool, left: Callable[[], bool]
    ) -> Iterator[Event]:
        import torch
        from tokenizers.decoders import DecodeStream

        sampler, writer = Sampler(request.sampling), Writer(request.sampling.stop, thinking=thinking)
        decoding = DecodeStream(skip_special_tokens=True)
        limit = min(request.sampling.max_tokens or self._context, self._context - len(prompt))
        written, reason = 0, "max_tokens"
        with torch.inference_mode():
            logits, cache = self._read(prompt, left)
            while written < limit and not left():
                chosen = sampler.choose(logits)
                if chosen.token in self._ends:
                    reason = "end_turn"
                    break
                written += 1
                text = decoding.step(self._tokenizer, chosen.token) or ""
                yield from writer.feed(text, self._told(chosen, request.sampling.logprobs))
                if writer.stopped is not None:
                    break
                if written < limit:
                    logits, cache = self._step([chosen.token], cache)
        yield from writer.finish()
        ended: StopReason = (
            "stop_sequence" if writer.stopped else ("end_turn" if reason == "end_turn" else "max_tokens")
        )
        yield Stop(reason=ended, sequence=writer.stopped)
        yield Usage(input=len(prompt), output=written)

    def _read(self, prompt: list[int], left: Callable[[], bool]) -> tuple[torch.Tensor, Any]:
        cache: Any = None
        logits: Any = None
        for start in range(0, len(prompt), CHUNK):
            if left():
                break
            logits, cache = self._step(prompt[start : start + CHUNK], cache)
        return logits, cache

    def _step(self, tokens: list[int], cache: Any) -> tuple[torch.Tensor, Any]:
        """The logits after the last token."""
        import torch

        out = self._model(torch.tensor([tokens]), past_key_values=cache, use_cache=True, logits_to_keep=1)
        return out.logits[0, -1], out.past_key_values

    def _told(self, chosen: Chosen, wanted: int | None) -> tuple[TokenLogprob, ...]:
        if wanted is None:
            return ()
        top = tuple(TokenLogprob(self._word(token), value) for token, value in chosen.top)
        return (TokenLogprob(self._word(chosen.token), chosen.logprob, top=top),)

    def _word(self, token: int) -> str:
        return str(self._tokenizer.decode([token], skip_special_tokens=False))


def _ends(model: Any) -> frozenset[int]:
    """The tokens that end an answer."""
    found: set[int] = set()
    for config in (model.generation_config, model.config):
        value = getattr(config, "eos_token_id", None)
        found.update(one for one in (value if isinstance(value, list) else [value]) if isinstance(one, int))
    return frozenset(found)
