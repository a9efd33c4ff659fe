"""An order to quantise a stored model: read and checked by the server, carried out by a job."""

from __future__ import annotations

from msgspec import Struct

from craton.conversion.quantising.measuring import MAX_CASES, MAX_TEXT, TOKENS, Case
from craton.conversion.quantising.recipes import recipe
from craton.core.errors import InvalidRequest, TooLarge, Unsupported
from craton.core.repo import RepoId
from craton.hub.catalog import CatalogModel
from craton.hub.names import check_repo

KIND = "quantise-model"
MAX_TOKENS = 8192


class QuantiseOrder(Struct, frozen=True, forbid_unknown_fields=True):
    """As it is asked for. name: "namespace/name" of what is made. The others: see `quantising.Order`."""

    model: str
    to: str
    name: str
    text: str = ""
    tokens: int = TOKENS
    cases: tuple[Case, ...] = ()


def check_order(order: QuantiseOrder) -> RepoId:
    """The repository that it makes. Raises InvalidRequest, TooLarge."""
    recipe(order.to)
    namespace, slash, name = order.name.partition("/")
    if not slash:
        raise InvalidRequest("must be of the form namespace/name", "name")
    repo = RepoId("model", namespace, name)
    check_repo(repo)
    if not 16 <= order.tokens <= MAX_TOKENS:
        raise InvalidRequest(f"must be from 16 to {MAX_TOKENS:,}", "tokens")
    if len(order.text) > MAX_TEXT or len(order.cases) > MAX_CASES:
        raise TooLarge("The text or the test set", MAX_CASES, unit="cases")
    return repo


def gguf_of(found: CatalogModel, name: str) -> str:
    """The digest of the model's one GGUF file. Raises Unsupported."""
    digests = [digest for path, digest in found.files.items() if path.endswith(".gguf")]
    if len(digests) != 1:
        raise Unsupported(
            f"Quantising {name}, which holds no GGUF file", f"Convert it: `craton models convert {name}`."
        )
    return digests[0]
