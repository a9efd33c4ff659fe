"""llama.cpp's server loop: started without a TCP port, its requests as async streams of chunks."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shutil
import signal
import tempfile
import threading
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import httpx
import xllamacpp

from craton.core.chat import Json
from craton.core.errors import ModelUnavailable
from craton.engines.llama_cpp.options import Options

_QUIET = -1
Verb = Literal["chat", "completion"]


class LlamaServer:
    """One loaded model. llama.cpp insists on an HTTP server: it listens on a Unix socket in a folder that only this
    user may enter, asks for a random key, and answers nothing but tokenising and templating to us.

    Raises ModelUnavailable when llama.cpp cannot load the file.
    """

    def __init__(self, model: str, options: Options, template: str | None, adapters: Sequence[Path] = ()) -> None:
        """adapters: GGUF files of LoRA pairs, applied when a request says so; they are read once, here."""
        self._folder = Path(tempfile.mkdtemp(prefix="craton-"))  # made with mode 0700
        key = secrets.token_hex(32)
        socket = self._folder / "s.sock"
        try:
            with _signals_kept():
                self._native = xllamacpp.Server(parameters(options, template, socket, key, adapters))
        except Exception as error:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise ModelUnavailable(model, "llama.cpp could not load its file.") from error
        self._http = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(uds=str(socket), verify=False),  # no TLS: certificates are not read
            base_url="http://llama.cpp",
            headers={"Authorization": f"Bearer {key}"},
            timeout=60,
            limits=httpx.Limits(max_keepalive_connections=0),  # a kept connection would belong to one event loop
            trust_env=False,
        )
        self._threads = ThreadPoolExecutor(options.parallel, thread_name_prefix="llama.cpp")

    def ask(self, body: Json) -> list[Json]:
        """The chunks of one completion. Blocks: for the time before there is an event loop."""
        chunks: list[Json] = []

        def take(chunk: Json) -> bool:
            """Whether to stop."""
            chunks.append(chunk)
            return False

        self._native.handle_completions({**body, "stream": True}, take)
        return chunks

    async def stream(self, verb: Verb, body: Json) -> AsyncGenerator[Json, None]:
        """The chunks of one answer, as llama.cpp makes them (an error is a chunk too).

        Closing the iterator stops the work: it returns when the slot is free, which is after the step that runs now.
        """
        handle = self._native.handle_chat_completions if verb == "chat" else self._native.handle_completions
        loop = asyncio.get_running_loop()
        chunks: asyncio.Queue[Json | None] = asyncio.Queue()
        left = threading.Event()

        def receive(chunk: Json) -> bool:
            loop.call_soon_threadsafe(chunks.put_nowait, chunk)
            return left.is_set()

        def work() -> None:
            try:
                if not left.is_set():
                    handle({**body, "stream": True, "return_progress": True}, receive)
            except ValueError as error:  # its HTTP server would answer 400; a template that refuses the conversation
                receive({"error": {"type": "invalid_request_error", "message": str(error)}})
            finally:
                loop.call_soon_threadsafe(chunks.put_nowait, None)

        job = self._threads.submit(work)
        try:
            while (chunk := await chunks.get()) is not None:
                yield chunk
            await asyncio.wrap_future(job)
        finally:
            left.set()
            if not job.cancel():
                await _finished(asyncio.wrap_future(job))

    async def prompt(self, body: Json) -> str:
        """What the model's chat template makes of a chat body."""
        answer = await self._ask("/apply-template", body)
        return str(answer["prompt"])

    async def tokens(self, text: str) -> list[int]:
        """Token ids, exactly those that a request with this prompt would use."""
        answer = await self._ask("/tokenize", {"content": text, "add_special": True, "parse_special": True})
        return list(answer["tokens"])

    async def close(self) -> None:
        """Ends the native loop. Idempotent."""
        await self._http.aclose()
        self._threads.shutdown(wait=False, cancel_futures=True)
        if hasattr(self, "_native"):
            native = self._native
            del self._native
            await asyncio.to_thread(_drop, [native])
        shutil.rmtree(self._folder, ignore_errors=True)

    async def _ask(self, path: str, body: Json) -> Json:
        response = await self._http.post(path, json=body)
        answer: Json = response.json()
        if response.status_code != 200:
            raise RefusedError(answer.get("error", {}))
        return answer


class RefusedError(Exception):
    """llama.cpp's own error object: code, type and message."""

    def __init__(self, error: Json) -> None:
        super().__init__(error.get("type"))
        self.error = error


def parameters(
    options: Options, template: str | None, socket: Path, key: str, adapters: Sequence[Path] = ()
) -> xllamacpp.CommonParams:
    """llama.cpp's settings (bench/serving.py runs the raw library with the same ones)."""
    parameters = xllamacpp.CommonParams()
    parameters.model.path = options.path
    parameters.hostnames = [str(socket)]
    parameters.api_keys = [key]
    parameters.ui = False
    parameters.endpoint_slots = False
    parameters.endpoint_props = False
    parameters.endpoint_metrics = False
    parameters.n_threads_http = 2
    parameters.verbosity = _QUIET
    parameters.offline = True
    parameters.fit_params = False  # it would shrink the context to what it thinks fits
    parameters.n_ctx = options.context * options.parallel
    parameters.n_parallel = options.parallel
    parameters.n_batch = options.batch
    parameters.n_ubatch = options.batch
    parameters.cpuparams.n_threads = options.threads
    parameters.cpuparams_batch.n_threads = options.batch_threads
    parameters.cache_ram_mib = 0  # otherwise up to 8 GiB of old prompts
    parameters.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(path), 0.0) for path in adapters]
    if template is not None:
        parameters.chat_template = template
    return parameters


@contextlib.contextmanager
def _signals_kept() -> Iterator[None]:
    """llama.cpp takes SIGINT and SIGTERM for itself when it starts; give them back to whoever had them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before: dict[signal.Signals, Callable[..., Any] | int | None] = {
        number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


async def _finished(job: asyncio.Future[None]) -> None:
    """Waits for a job that was told to stop, even when the waiter is cancelled; its outcome does not matter."""
    with contextlib.suppress(Exception):
        await asyncio.shield(job)


def _drop(holder: list[Any]) -> None:
    holder.clear()
