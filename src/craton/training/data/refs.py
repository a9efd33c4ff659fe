"""What `data.ref` names: a dataset in the hub, or a set that an installed library carries."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from craton.core.errors import InvalidRequest
from craton.core.repo import RepoId

LIBRARIES = ("sklearn", "river")


class DatasetRef(Struct, frozen=True):
    """revision: a branch, a tag or a commit's id."""

    repo: RepoId
    revision: str = "main"

    def __str__(self) -> str:
        return f"datasets/{self.repo.path}@{self.revision}"


class BundledRef(Struct, frozen=True):
    library: Literal["sklearn", "river"]
    name: str

    def __str__(self) -> str:
        return f"{self.library}:{self.name}"


def read_ref(text: str) -> DatasetRef | BundledRef:
    """ "datasets/acme/churn@main" (the first part and the last may be left out), "sklearn:digits". Raises
    InvalidRequest."""
    library, colon, name = text.partition(":")
    if colon and library in LIBRARIES:
        return BundledRef("sklearn" if library == "sklearn" else "river", name)
    path, _, revision = text.removeprefix("datasets/").partition("@")
    namespace, slash, name = path.partition("/")
    if not slash or not namespace or not name or "/" in name or colon:
        raise InvalidRequest(
            f"{text[:100]!r} names no data: 'datasets/acme/churn@main', 'sklearn:digits' or 'river:Phishing'",
            "data.ref",
        )
    return DatasetRef(RepoId("dataset", namespace, name), revision or "main")
