"""The llama.cpp engine: chat over one GGUF model."""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, suppress
from pathlib import Path

from craton.core.chat import ChatRequest, Json
from craton.core.errors import CratonError, InvalidRequest, ModelFailed, Unsupported
from craton.core.events import Event, Usage
from craton.core.model import Capabilities, EmbedAnswer, EmbedRequest, NextRequest, Score, ScoreAnswer, ScoreRequest
from craton.core.predicting import PredictAnswer, PredictorRequest
from craton.engines.llama_cpp import completing, continuing, grammar
from craton.engines.llama_cpp.applying import Adapters
from craton.engines.llama_cpp.events import ChatReader, failure, logprobs, usage
from craton.engines.llama_cpp.limits import capabilities, check
from craton.engines.llama_cpp.options import Options, settle
from craton.engines.llama_cpp.requests import chat_limits, completion_limits, conversation
from craton.engines.llama_cpp.runs import Run
from craton.engines.llama_cpp.server import LlamaServer, RefusedError, Verb
from craton.engines.protocol import AdapterSpec, EngineSpec
from craton.engines.templates import knows_tools, render
from craton.engines.tool_prompting import CALL_OPEN, CallReader, MalformedCall, callable_tools, write_tools

_KNOWN_GRAMMARS = 256


def _new_id() -> str:
    return f"call_{secrets.token_hex(12)}"


class LlamaCppEngine:
    """One GGUF model in this process. Use it on one event loop.

    A model whose template knows tools is left to llama.cpp's own parsers; for the others the tools are written into
    the prompt (`tool_prompting`) and the calls are held to their schemas by a grammar. A required call is held by that
    grammar in every model: llama.cpp's own lets free text go before it, without an end.
    """

    def __init__(
        self,
        model: str,
        options: Options,
        template: str | None,
        adapters: Sequence[AdapterSpec] = (),
        new_id: Callable[[], str] = _new_id,
    ) -> None:
        """adapters: those that are applied when a request asks for one. Raises the error of one that is alone; what is
        wrong with one of several stands in `refused`."""
        self._model, self._options, self._template, self._new_id = model, options, template, new_id
        self._native_tools = template is not None and knows_tools(template)
        self._grammars: OrderedDict[bytes, bool] = OrderedDict()
        self._marks = completing.read_marks(Path(options.path))
        self._adapters = Adapters(adapters)
        with self._adapters.converted(options.path):
            self._server = LlamaServer(model, options, template, self._adapters.files)
        self._adapters.check(model, self._server.ask)

    @classmethod
    def load(cls, spec: EngineSpec) -> LlamaCppEngine:
        """Loads the model and its adapters. The template is rendered once in the sandbox before llama.cpp's own engine
        sees it.

        Raises InvalidRequest for bad options or a template that fails, Damaged and ModelUnavailable for bad files,
        Unsupported for a lone adapter that changes nothing or would need what is not done here.
        """
        options = settle(spec)
        template = spec.info.chat_template
        if template is not None:
            render(template, [{"role": "user", "content": "Hi"}])
        return cls(spec.model, options, template, spec.adapters)

    @property
    def refused(self) -> dict[str, CratonError]:
        """What is wrong with the adapters that cannot be asked for, by key."""
        return self._adapters.refused

    @property
    def capabilities(self) -> Capabilities:
        return capabilities(
            self._template,
            native_tools=self._native_tools,
            parallel=self._options.parallel,
            gaps=self._marks is not None,
        )

    async def chat(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        """Answers. Raises ContextExceeded, InvalidRequest or Unsupported before any event; ModelFailed at any time."""
        self._check(request)
        if request.form != "chat":
            async with aclosing(self._completed(request)) as events:
                async for event in events:
                    yield event
            return
        forced = request.tool_choice.mode in ("any", "tool")
        held = bool(request.tools) and (forced or not self._native_tools)
        async with aclosing(self._with_calls(request) if held else self._plain(request)) as events:
            async for event in events:
                yield event

    async def embed(self, request: EmbedRequest) -> EmbedAnswer:
        raise Unsupported("embedding with a chat model", "Use an embedding model such as all-minilm-l6-v2.")

    async def score(self, request: ScoreRequest) -> ScoreAnswer:
        if not isinstance(request, NextRequest):
            raise Unsupported("scoring with a chat model")
        continuing.check(request)
        found, counts = [], []
        for text in request.inputs:
            asked = await continuing.body(text, request.top, self.tokens)
            scores: tuple[Score, ...] = ()
            counted: Usage | None = None
            async with aclosing(self._chunks("completion", asked, request)) as chunks:
                async for chunk in chunks:
                    scores, counted = scores or continuing.scores(chunk), usage(chunk) or counted
            if not scores:
                raise ModelFailed(self._name(request), "its engine told no probabilities")
            found.append(scores)
            counts.append(self._counted(counted, request).input)
        return ScoreAnswer(tuple(found), tuple(counts))

    async def predict(self, request: PredictorRequest) -> PredictAnswer:
        raise Unsupported("predicting with a chat model")

    async def count_tokens(self, request: ChatRequest) -> int:
        """What `chat` would report as Usage.input."""
        self._check(request)
        return len(await self._server.tokens(await self._prompt(request)))

    async def tokens(self, text: str) -> list[int]:
        """The ids of a prompt's tokens; marks such as `<|im_end|>` count as what they are to the model."""
        return await self._server.tokens(text)

    async def close(self) -> None:
        await self._server.close()

    def _check(self, request: ChatRequest) -> None:
        if self._template is None:
            raise Unsupported(f"chat with {self._name(request)}, which has no chat template")
        check(request, self._options.parallel)

    def _prompted(self, request: ChatRequest) -> ChatRequest:
        """The request as the chat template gets it."""
        return request if self._native_tools else write_tools(request)

    def _conversation(self, request: ChatRequest) -> Json:
        """The conversation, which our own sandbox has rendered once before.

        llama.cpp renders it on threads of its own, where a template without an end would run for ever and nobody would
        notice. Here it stops the heartbeat, which ends this worker. Costs about 0.1 ms.
        """
        body = conversation(request)
        if self._template is not None:
            with suppress(InvalidRequest):  # llama.cpp knows what to do for some templates that refuse a conversation
                variables = body.get("chat_template_kwargs", {})
                render(self._template, body["messages"], tools=body.get("tools"), **variables)
        return body

    async def _prompt(self, request: ChatRequest) -> str:
        try:
            return await self._server.prompt(self._conversation(self._prompted(request)))
        except RefusedError as error:
            raise failure(self._name(request), error.error) from error

    async def _plain(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        """llama.cpp renders, parses reasoning and (where the template knows them) tool calls."""
        request = self._prompted(request)
        body = self._conversation(request) | chat_limits(request)
        if request.output_schema is not None:
            held = grammar.answer(request.output_schema.schema)
            body["grammar"] = await self._compiled(held, "output_schema", request)
        reader = ChatReader(request.sampling.logprobs)
        async with aclosing(self._chunks("chat", body, request)) as chunks:
            async for chunk in chunks:
                for event in reader.feed(chunk):
                    yield event
        yield self._counted(reader.usage, request)

    async def _completed(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        """No template, and nothing is parsed: what the model writes is the text."""
        body = completing.body(request, self._marks, self._name(request))
        reader = ChatReader(request.sampling.logprobs)
        async with aclosing(self._chunks("completion", body, request)) as chunks:
            async for chunk in chunks:
                for event in reader.feed(completing.as_chat(chunk)):
                    yield event
        yield self._counted(reader.usage, request)

    async def _with_calls(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        """The prompt is ours, and so is the reading of the calls.

        A required call is held by the grammar from its first token. Otherwise the model writes freely until it opens a
        call by itself; the run ends there and goes on in a second one (over the cached prompt) under the grammar, so
        that free text costs no grammar and stop strings cannot cut a call.
        """
        if request.sampling.n > 1:
            raise Unsupported("several choices together with required tools, or with tools on this model")
        tools = callable_tools(request)
        free = request.tool_choice.mode in ("auto", "none")
        # A model that knows no tools goes on calling the same one for as long as it may: it gets one call a turn.
        parallel = request.tool_choice.parallel and self._native_tools
        held = ""
        if tools:
            held = await self._compiled(grammar.calls(tools, parallel=parallel, opened=free), "tools", request)
        sampling = request.sampling
        body = completion_limits(sampling) | {"prompt": await self._prompt(request)}
        reader = CallReader(self._new_id)
        run = Run(sampling.max_tokens)
        try:
            if free:
                marks = [CALL_OPEN] if tools else []
                first = body | {"stop": [*sampling.stop, *marks], "verbose": True}
                async with aclosing(self._run(first, run, reader, request)) as events:
                    async for event in events:
                        yield event
            if not free or run.word == CALL_OPEN:
                body = {key: value for key, value in body.items() if key != "stop"} | {"grammar": held}
                if free:
                    body["prompt"] += run.text + CALL_OPEN
                    for event in reader.feed(CALL_OPEN):
                        yield event
                if run.left is not None:
                    body["n_predict"] = run.left
                if run.left != 0:
                    async with aclosing(self._run(body, run, reader, request)) as events:
                        async for event in events:
                            yield event
            for event in reader.finish():
                yield event
        except MalformedCall as error:
            raise ModelFailed(
                self._name(request), "its tool call left the form that the grammar holds it to"
            ) from error
        yield run.stop(reader.calls)
        yield self._counted(run.usage, request)

    async def _run(self, body: Json, run: Run, reader: CallReader, request: ChatRequest) -> AsyncGenerator[Event, None]:
        async with aclosing(self._chunks("completion", body, request)) as chunks:
            async for chunk in chunks:
                text = run.feed(chunk)
                for choice in chunk.get("choices", ())[:1]:
                    for event in reader.feed(text, logprobs(choice, request.sampling.logprobs)):
                        yield event

    async def _chunks(self, verb: Verb, body: Json, request: ChatRequest | NextRequest) -> AsyncGenerator[Json, None]:
        async with aclosing(self._server.stream(verb, body | self._adapters.applied(request.adapter))) as chunks:
            async for chunk in chunks:
                if "error" in chunk:
                    raise failure(self._name(request), chunk["error"])
                yield chunk

    async def _compiled(self, text: str, field: str, request: ChatRequest) -> str:
        """The grammar, once it is known to be in force: llama.cpp drops one that does not compile in silence, so it is
        tried behind a word that cannot come by chance. Raises InvalidRequest."""
        key = hashlib.sha256(text.encode()).digest()
        if key not in self._grammars:
            body = {
                "prompt": "A",
                "n_predict": 4,
                "temperature": 0,
                "cache_prompt": False,
                "grammar": grammar.probe(text),
            }
            said = ""
            async with aclosing(self._chunks("completion", body, request)) as chunks:
                async for chunk in chunks:
                    said += "".join(choice.get("text") or "" for choice in chunk.get("choices", ()))
            self._grammars[key] = bool(said) and said[: len(grammar.SENTINEL)] == grammar.SENTINEL[: len(said)]
            while len(self._grammars) > _KNOWN_GRAMMARS:
                self._grammars.popitem(last=False)
        self._grammars.move_to_end(key)
        if not self._grammars[key]:
            raise InvalidRequest("the JSON schema is not valid, or uses a keyword that cannot be enforced", field)
        return text

    def _name(self, request: ChatRequest | NextRequest) -> str:
        """Of the model in errors: an adapter that shares this engine tells of no other's."""
        return self._adapters.model(request.adapter, self._model)

    def _counted(self, counted: Usage | None, request: ChatRequest | NextRequest) -> Usage:
        if counted is None:
            raise ModelFailed(self._name(request), "its engine ended without counting its tokens")
        return counted
