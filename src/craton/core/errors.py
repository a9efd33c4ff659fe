"""The errors of the platform.

Each carries values, not sentences: a dialect words them and picks its own status and name
(one table per dialect). `str()` gives a plain sentence for logs and the command line.
Nothing internal (paths, tracebacks, addresses) may be put into these values: they reach clients.
"""

from __future__ import annotations


class CratonError(Exception):
    """Base of everything that the platform raises on purpose."""


class InvalidRequest(CratonError, ValueError):
    """The request cannot be understood or contradicts itself.

    field: the offending field in the words of `core` ("messages[2]"), or "" when it is the whole body.
    """

    def __init__(self, reason: str, field: str = "") -> None:
        super().__init__(reason)
        self.reason, self.field = reason, field

    def __str__(self) -> str:
        return f"{self.field}: {self.reason}" if self.field else self.reason


class Unsupported(CratonError):
    """Understood, but Craton (or the one model asked for) cannot do it: refused, never faked.

    what: the operation or feature; hint: what to do instead, or "".
    """

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what, hint)
        self.what, self.hint = what, hint

    def __str__(self) -> str:
        return f"{self.what} is not supported." + (f" {self.hint}" if self.hint else "")


class Unauthenticated(CratonError, PermissionError):
    """No credentials, or wrong, expired or revoked ones. The reason is safe to show.

    code tells dialects that distinguish them apart: "missing", "invalid", "expired", "signature", "skewed".
    """

    def __init__(self, reason: str, code: str = "invalid") -> None:
        super().__init__(reason)
        self.reason, self.code = reason, code

    def __str__(self) -> str:
        return self.reason


class Forbidden(CratonError, PermissionError):
    """Known caller, not allowed: its role lacks the action, or (role "") it is somebody else's thing."""

    def __init__(self, action: str, role: str = "") -> None:
        super().__init__(action, role)
        self.action, self.role = action, role

    def __str__(self) -> str:
        who = f"A key with the role {self.role!r}" if self.role else "You"
        return f"{who} may not {self.action}."


class Gated(CratonError, PermissionError):
    """A shared repository's files, for a caller who has not been let in.

    repo: namespace/name; status: "" (not asked for yet), "pending" or "rejected".
    """

    def __init__(self, repo: str, status: str = "") -> None:
        super().__init__(repo, status)
        self.repo, self.status = repo, status

    def __str__(self) -> str:
        said = {"pending": "your request for access is waiting", "rejected": "your request for access was rejected"}
        return f"Access to {self.repo} is restricted: {said.get(self.status, 'ask for access first')}."


class OutgoingRefused(CratonError, PermissionError):
    """Craton would have to call a host that the operator has not allowed, or one at an address that is not public.

    host: as it stands in the URL; hint: what the operator can do, or "".
    """

    def __init__(self, host: str, hint: str = "") -> None:
        super().__init__(host, hint)
        self.host, self.hint = host, hint

    def __str__(self) -> str:
        return f"Calls to {self.host!r} are not allowed." + (f" {self.hint}" if self.hint else "")


class NotFound(CratonError, LookupError):
    """There is no such thing, or it belongs to another tenant: the two look the same.

    hint: the next step ("`craton models pull NAME` fetches it"), or "".
    """

    def __init__(self, kind: str, name: str, hint: str = "") -> None:
        super().__init__(kind, name)
        self.kind, self.name, self.hint = kind, name, hint

    def __str__(self) -> str:
        return f"There is no {self.kind} {self.name!r}." + (f" {self.hint}" if self.hint else "")


class Conflict(CratonError):
    """The thing exists already, or changed in between (a stale parent)."""

    def __init__(self, kind: str, name: str, reason: str) -> None:
        super().__init__(kind, name, reason)
        self.kind, self.name, self.reason = kind, name, reason

    def __str__(self) -> str:
        return f"{self.kind} {self.name!r}: {self.reason}"


class Stale(Conflict):
    """What a change was made to is not the newest any more: read it again, then repeat the change."""


class TooLarge(CratonError, ValueError):
    """Over a size limit. limit and actual count `unit`s; actual is None when it was not read to the end."""

    def __init__(self, what: str, limit: int, actual: int | None = None, unit: str = "bytes") -> None:
        super().__init__(what, limit, actual, unit)
        self.what, self.limit, self.actual, self.unit = what, limit, actual, unit

    def __str__(self) -> str:
        size = "more" if self.actual is None else f"{self.actual:,}"
        return f"{self.what}: at most {self.limit:,} {self.unit} are allowed, got {size}."


class QuotaExceeded(TooLarge):
    """More than the operator lets this tenant store. Deleting, and some hours of patience, make room."""

    def __str__(self) -> str:
        return f"{self.what} may be {self.limit:,} {self.unit} at most; it would be {self.actual or 0:,}."


class ContextExceeded(CratonError, ValueError):
    """The prompt (with the answer that was asked for) does not fit the model's context. Counts are tokens."""

    def __init__(self, model: str, limit: int, prompt: int) -> None:
        super().__init__(model, limit, prompt)
        self.model, self.limit, self.prompt = model, limit, prompt

    def __str__(self) -> str:
        return f"The prompt has {self.prompt:,} tokens; the context of {self.model} holds {self.limit:,}."


class Throttled(CratonError):
    """The queue is full or a quota is spent. retry_after: seconds."""

    def __init__(self, reason: str, retry_after: float = 1.0) -> None:
        super().__init__(reason)
        self.reason, self.retry_after = reason, retry_after

    def __str__(self) -> str:
        return self.reason


class SourceFailed(CratonError):
    """A folder, site, database or HTTP API that documents come from cannot be read now.

    source: as its owner names it (a host, a registered name, a folder's name), never with credentials in it.
    """

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(source, reason)
        self.source, self.reason = source, reason

    def __str__(self) -> str:
        return f"{self.source!r} cannot be read: {self.reason}"


class DeadlineExceeded(CratonError, TimeoutError):
    """The request ran past its deadline (seconds) and was stopped."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds

    def __str__(self) -> str:
        return f"The request ran past its limit of {self.seconds:g} seconds and was stopped."


class ModelUnavailable(CratonError):
    """The model exists but cannot answer now: loading failed, or its worker is restarting."""

    def __init__(self, model: str, reason: str) -> None:
        super().__init__(model, reason)
        self.model, self.reason = model, reason

    def __str__(self) -> str:
        return f"The model {self.model!r} is not available: {self.reason}"


class ModelFailed(CratonError):
    """The model's worker died or hung, or its upstream failed, while it answered."""

    def __init__(self, model: str, reason: str) -> None:
        super().__init__(model, reason)
        self.model, self.reason = model, reason

    def __str__(self) -> str:
        return f"The model {self.model!r} failed: {self.reason}"


class Damaged(CratonError):
    """Stored bytes are not what was stored, or a file that came in is broken."""

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(what, reason)
        self.what, self.reason = what, reason

    def __str__(self) -> str:
        return f"{self.what} is damaged: {self.reason}"


class StorageFull(CratonError):
    """The disk has no room (or failed); nothing was acknowledged."""

    def __init__(self, reason: str = "The disk is full; free some space and try again.") -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class Internal(CratonError):
    """Something that should not happen. Says nothing but the request id under which the log has the rest."""

    def __init__(self, request_id: str) -> None:
        super().__init__(request_id)
        self.request_id = request_id

    def __str__(self) -> str:
        return f"An internal error happened. The server's log has it under the request id {self.request_id}."
