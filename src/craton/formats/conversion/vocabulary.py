"""A tokenizer.json as the vocabulary of a GGUF file: its tokens, their kinds, how they merge, and which are special."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from craton.core.errors import Damaged, Unsupported
from craton.formats.conversion.folder import read_json
from craton.formats.conversion.pretokenizers import pretokenizer

if TYPE_CHECKING:
    from gguf import GGUFWriter

FILE = "tokenizer.json"
MAX_TEMPLATE = 1024 * 1024  # characters
_NORMAL, _UNKNOWN, _CONTROL, _USER_DEFINED, _UNUSED, _BYTE = 1, 2, 3, 4, 5, 6
_SPACE = "▁"
_FIM = {
    "fim_pre": ("<fim_prefix>", "<|fim_prefix|>", "▁<PRE>", "<PRE>", "<｜fim▁begin｜>"),  # noqa: RUF001
    "fim_suf": ("<fim_suffix>", "<|fim_suffix|>", "▁<SUF>", "<SUF>", "<｜fim▁hole｜>"),  # noqa: RUF001
    "fim_mid": ("<fim_middle>", "<|fim_middle|>", "▁<MID>", "<MID>", "<｜fim▁end｜>"),  # noqa: RUF001
}
"""What stands before, after and in the middle when a gap in code is filled."""
_FILLED = ("▁<EOT>", "<EOT>")
"""What Code Llama writes where a gap is filled."""


def write_vocabulary(folder: Path, config: dict[str, Any], size: int, writer: GGUFWriter) -> None:
    """size: rows of the model's embedding. Raises Damaged and Unsupported."""
    tokenizer = read_json(folder, FILE)
    if not tokenizer:
        raise Unsupported(
            "A model without a tokenizer.json",
            "Write one: `AutoTokenizer.from_pretrained(...).save_pretrained(folder)`.",
        )
    model = tokenizer.get("model")
    if not isinstance(model, dict) or model.get("type") != "BPE" or not isinstance(model.get("vocab"), dict):
        kind = model.get("type") if isinstance(model, dict) else None
        raise Unsupported(f"A tokenizer of the kind {str(kind)[:40]!r} in GGUF", "Those that merge pairs (BPE) are.")
    words = _Words(model, tokenizer.get("added_tokens") or [], size)
    merges = _merges(model)
    if model.get("byte_fallback") is True:
        _sentence_pieces(tokenizer, words, merges, writer)
    else:
        _byte_level(tokenizer, words, merges, writer)
    _specials(folder, config, words, writer)
    template = chat_template(folder)
    if template:
        writer.add_chat_template(template)


def chat_template(folder: Path) -> str:
    """ "" when there is none."""
    file = folder / "chat_template.jinja"
    if file.is_file():
        if file.stat().st_size > MAX_TEMPLATE:
            raise Damaged(file.name, f"it is longer than {MAX_TEMPLATE:,} characters")
        return file.read_bytes().decode(errors="replace")
    said = read_json(folder, "tokenizer_config.json").get("chat_template")
    if isinstance(said, list):  # several by name
        said = next(
            (one.get("template") for one in said if isinstance(one, dict) and one.get("name") == "default"), None
        )
    return said if isinstance(said, str) else ""


class _Words:
    """Every id's token and its kind."""

    def __init__(self, model: dict[str, Any], added: list[Any], size: int) -> None:
        self.size = size
        self.texts: list[str] = [f"[PAD{number}]" for number in range(size)]
        self.kinds = [_UNUSED] * size
        self.ids: dict[str, int] = {}
        self.model = model
        for text, number in model["vocab"].items():
            self._set(text, number, _NORMAL)
        for token in added:
            if not isinstance(token, dict) or not isinstance(token.get("content"), str):
                raise Damaged(FILE, "its added_tokens are not proper")
            self._set(token["content"], token.get("id"), _CONTROL if token.get("special") else _USER_DEFINED)

    def _set(self, text: str, number: Any, kind: int) -> None:
        if type(number) is not int or number < 0:
            raise Damaged(FILE, f"the token {text[:40]!r} has the id {str(number)[:20]}")
        if number >= self.size:
            raise Unsupported(
                f"A tokenizer with more tokens than the model has rows for ({text[:40]!r} is {number}, of {self.size})",
                "Resize the model's embeddings: `model.resize_token_embeddings(len(tokenizer))`.",
            )
        self.texts[number], self.kinds[number], self.ids[text] = text, kind, number


def _merges(model: dict[str, Any]) -> list[tuple[str, str]]:
    said = model.get("merges")
    if not isinstance(said, list):
        raise Damaged(FILE, "it has no merges")
    pairs = [tuple(pair.split(" ", 1)) if isinstance(pair, str) else tuple(pair) for pair in said]
    if not all(len(pair) == 2 and all(isinstance(part, str) for part in pair) for pair in pairs):
        raise Damaged(FILE, "its merges are not pairs")
    return [(pair[0], pair[1]) for pair in pairs]


def _byte_level(tokenizer: dict[str, Any], words: _Words, merges: list[tuple[str, str]], writer: GGUFWriter) -> None:
    normalizers = _kinds(tokenizer.get("normalizer"), "normalizers")
    if normalizers - {"NFC"} or words.model.get("end_of_word_suffix") or words.model.get("continuing_subword_prefix"):
        raise Unsupported(f"A byte-level tokenizer that normalises ({', '.join(sorted(normalizers))[:80]}) in GGUF")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pretokenizer(tokenizer))
    writer.add_token_list(words.texts)
    writer.add_token_types(words.kinds)
    writer.add_token_merges([f"{left} {right}" for left, right in merges])


def _sentence_pieces(
    tokenizer: dict[str, Any], words: _Words, merges: list[tuple[str, str]], writer: GGUFWriter
) -> None:
    """llama.cpp joins the two pieces whose joint has the best score: here the order in which the merges stand."""
    scores = [0.0] * words.size
    for rank, (left, right) in enumerate(merges):
        number = words.ids.get(left + right)
        if number is not None and not scores[number]:
            scores[number] = -1.0 - rank
    lowest = -2.0 - len(merges)
    unknown = words.model.get("unk_token")
    for number, text in enumerate(words.texts):
        if words.kinds[number] == _USER_DEFINED:
            words.texts[number] = text.replace(_SPACE, " ")
        if len(text) == 6 and text.startswith("<0x") and text.endswith(">") and words.kinds[number] == _NORMAL:
            words.kinds[number] = _BYTE
        elif text == unknown:
            words.kinds[number] = _UNKNOWN
        scores[number] = scores[number] or lowest
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(words.texts)
    writer.add_token_scores(scores)
    writer.add_token_types(words.kinds)
    writer.add_add_space_prefix(_prefixes(tokenizer))


def _prefixes(tokenizer: dict[str, Any]) -> bool:
    """Whether a text begins with a space of its own. Raises Unsupported for spaces that are not kept as "▁"."""
    normalizers = _kinds(tokenizer.get("normalizer"), "normalizers")
    before = tokenizer.get("pre_tokenizer")
    splitting = _kinds(before, "pretokenizers")
    if normalizers - {"Prepend", "Replace"} or splitting - {"Metaspace", "Split"}:
        raise Unsupported(
            f"A tokenizer of pieces with {', '.join(sorted(normalizers | splitting))[:80]} in GGUF",
            "Those that turn spaces into '▁' are.",
        )
    scheme = (
        before.get("prepend_scheme", "always") if isinstance(before, dict) and "Metaspace" in splitting else "never"
    )
    return "Prepend" in normalizers or scheme in {"always", "first"}


def _kinds(step: Any, inner: str) -> set[str]:
    if not isinstance(step, dict):
        return set()
    if step.get("type") == "Sequence":
        return {kind for one in step.get(inner) or () for kind in _kinds(one, inner)}
    return {str(step.get("type"))}


def _specials(folder: Path, config: dict[str, Any], words: _Words, writer: GGUFWriter) -> None:
    said = read_json(folder, "tokenizer_config.json")
    ends = _ids(read_json(folder, "generation_config.json").get("eos_token_id")) or _ids(config.get("eos_token_id"))
    eos = _named(said.get("eos_token"), words)
    eos = eos if eos is not None else next(iter(ends), None)
    bos = _named(said.get("bos_token"), words)
    bos = bos if bos is not None else next(iter(_ids(config.get("bos_token_id"))), None)
    for add, number in (
        (writer.add_bos_token_id, bos),
        (writer.add_eos_token_id, eos),
        (writer.add_unk_token_id, _named(said.get("unk_token"), words)),
        (writer.add_pad_token_id, _named(said.get("pad_token"), words)),
        (writer.add_eot_token_id, next((one for one in (*ends, *_after_gap(words)) if one != eos), None)),
    ):
        if number is not None and number < words.size:
            add(number)
    first, last = _around(folder)
    writer.add_add_bos_token(bos is not None and first == bos)
    writer.add_add_eos_token(eos is not None and last == eos)
    for key, texts in _FIM.items():
        number = next((words.ids[text] for text in texts if text in words.ids), None)
        if number is not None:
            writer.add_uint32(f"tokenizer.ggml.{key}_token_id", number)


def _around(folder: Path) -> tuple[int | None, int | None]:
    """What the tokenizer itself writes before and after every text."""
    from tokenizers import Tokenizer

    said = read_json(folder, "tokenizer_config.json")
    try:
        tokenizer = Tokenizer.from_file(str(folder / FILE))
        plain, whole = (tokenizer.encode("a", add_special_tokens=added).ids for added in (False, True))
    except Exception as error:  # the library raises nothing narrower
        raise Damaged(FILE, f"it cannot be read: {str(error)[:120]}") from error
    start = next((i for i in range(len(whole)) if whole[i : i + len(plain)] == plain), 0)
    before, after = whole[:start], whole[start + len(plain) :]
    first, last = (before[0] if before else None), (after[-1] if after else None)
    if isinstance(said.get("add_bos_token"), bool) and not before:
        first = tokenizer.token_to_id(_text(said.get("bos_token"))) if said["add_bos_token"] else None
    return first, last


def _after_gap(words: _Words) -> list[int]:
    return [words.ids[text] for text in _FILLED if text in words.ids]


def _text(token: Any) -> str:
    value = token.get("content") if isinstance(token, dict) else token
    return value if isinstance(value, str) else ""


def _named(token: Any, words: _Words) -> int | None:
    return words.ids.get(_text(token))


def _ids(value: Any) -> list[int]:
    return [one for one in (value if isinstance(value, list) else [value]) if type(one) is int and one >= 0]
