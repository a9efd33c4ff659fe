"""Records of batches in Bedrock's words, answered as the live routes answer.

A record is {"recordId": ..., "modelInput": {...}}; what comes of it stands in the output with both, and with
"modelOutput" or "error". https://docs.aws.amazon.com/bedrock/latest/userguide/batch-inference-data.html and
batch-inference-results.html
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType
from msgspec.structs import replace

from craton.batch.answering import Answered, Record, TimedOut
from craton.batch.lines import MAX_LINE
from craton.batch.usage import Usages
from craton.batch.values import Batch, Counts
from craton.core.access import Caller, KeyRole
from craton.core.errors import CratonError, InvalidRequest, ModelFailed, ModelUnavailable, Throttled, TooLarge
from craton.serve.inference import Call, Predicting
from craton.wire.aws.answering import Bodies, converse, invoke_model
from craton.wire.aws.batches import CONVERSE
from craton.wire.aws.errors import error_name
from craton.wire.aws.service import Operation, Service
from craton.wire.http import Request, encode_json

MANIFEST = "manifest.json.out"
_RETRYABLE = (Throttled, ModelUnavailable, ModelFailed, TimedOut)
_LAST_RESORT = 500
_ERRORS = {"ThrottlingException": 429}


class _Line(Struct):
    recordId: str | UnsetType = UNSET
    modelInput: Raw | UnsetType = UNSET


class _Output(Struct, omit_defaults=True):
    recordId: str
    modelInput: Raw | UnsetType = UNSET
    modelOutput: Raw | UnsetType = UNSET
    error: _Error | UnsetType = UNSET


class _Error(Struct):
    errorCode: int
    errorMessage: str
    expired: bool
    retryable: bool


_line = msgspec.json.Decoder(_Line)
_encoder = msgspec.json.Encoder()


class Invocations:
    """One model's answers to bodies of one operation, Converse or InvokeModel. load: makes the model ready and says how
    many it answers at once. service: bedrock-runtime. usage: of the serving that is asked."""

    def __init__(
        self,
        batch: Batch,
        serving: Predicting,
        load: Callable[[Caller, str], Awaitable[int]],
        service: Service,
        bodies: Bodies,
        usage: Usages,
        monotonic: Callable[[], float],
    ) -> None:
        self._serving, self._load, self._service = serving, load, service
        self._bodies, self._usage, self._monotonic = bodies, usage, monotonic
        self._model = batch.order.model
        self._operation = service.operations[batch.order.mode]
        self._caller = Caller(batch.tenant, batch.order.key_id, KeyRole.DEVELOPER)

    async def start(self) -> int:
        return await self._load(self._caller, self._model)

    async def body(self, record: Record, body: bytes) -> Answered:
        """The body that the live route would answer. Raises CratonError."""
        operation, id = self._operation, f"{record.batch}.{record.number + 1}"
        call = Call(self._caller, f"{id}-{record.tries}" if record.tries else id, "aws", operation.name)
        with self._usage.of(call.request_id) as usage:
            value = operation.parse(_request(operation, call, self._model, body))
            if operation.name == CONVERSE:
                said = await converse(self._serving, call, value, self._monotonic)
            else:
                said = await invoke_model(self._serving, call, value, self._bodies)
        written = operation.write(said.output).body
        assert isinstance(written, bytes)
        return Answered(written, True, usage.read, usage.written)

    def status(self, error: CratonError) -> int:
        """What the live route would answer the error with."""
        name = error_name(error, self._operation.errors, self._service.error_statuses)
        return self._service.error_statuses.get(name) or _ERRORS.get(name, _LAST_RESORT)


class RecordAnswering:
    """`batch.answering.Answering` for the lines of CreateModelInvocationJob."""

    def __init__(self, invocations: Invocations) -> None:
        self._invocations = invocations

    async def start(self) -> int:
        return await self._invocations.start()

    async def answer(self, record: Record) -> Answered:
        line = _read(record)
        if isinstance(line.modelInput, UnsetType):
            raise InvalidRequest("it has no modelInput", f"line {record.line}")
        answered = await self._invocations.body(record, bytes(line.modelInput))
        output = _Output(_id(line, record), line.modelInput, Raw(answered.line))
        return replace(answered, line=_encoder.encode(output))

    def refuse(self, record: Record, error: CratonError) -> Answered:
        try:
            line = _read(record)
        except CratonError:
            line = _Line()
        told = _Error(
            self._invocations.status(error), str(error), isinstance(error, TimedOut), isinstance(error, _RETRYABLE)
        )
        output = _Output(_id(line, record), line.modelInput, error=told)
        return Answered(_encoder.encode(output), False)

    def output(self, key: str) -> str:
        return f"{key}.out"

    def summary(self, counts: Counts) -> tuple[str, bytes]:
        return MANIFEST, encode_json(
            {
                "totalRecordCount": counts.total or 0,
                "processedRecordCount": counts.done,
                "successRecordCount": counts.succeeded,
                "errorRecordCount": counts.failed,
                "inputTokenCount": counts.input_tokens,
                "outputTokenCount": counts.output_tokens,
            }
        )


class BodyAnswering:
    """The same for StartAsyncInvoke: the record is the body, the answer is what InvokeModel would have answered."""

    def __init__(self, invocations: Invocations) -> None:
        self._invocations = invocations

    async def start(self) -> int:
        return await self._invocations.start()

    async def answer(self, record: Record) -> Answered:
        return await self._invocations.body(record, record.data or b"")

    def output(self, key: str) -> str:
        return "output.json"


def _read(record: Record) -> _Line:
    """Raises TooLarge, InvalidRequest with the line's number."""
    where = f"line {record.line}"
    if record.data is None:
        raise TooLarge(where, MAX_LINE)
    try:
        return _line.decode(record.data)
    except UnicodeDecodeError:
        raise InvalidRequest("it is not valid UTF-8", where) from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidRequest(f"it is no record: {error}", where) from None


def _id(line: _Line, record: Record) -> str:
    """Its own, or else one made of its place, as Bedrock makes one: eleven letters and digits."""
    return line.recordId if isinstance(line.recordId, str) else f"REC{record.number + 1:08d}"


def _request(operation: Operation, call: Call, model: str, body: bytes) -> Request:
    """The request by which the live route is asked the same."""
    headers = {"content-type": "application/json", "accept": "application/json"}
    params = {"modelId": model}
    return Request(operation.method, "", "", headers, body, call.request_id, params, call.caller)
