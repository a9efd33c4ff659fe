"""The name by which llama.cpp knows how a text is cut before its pieces are merged (`tokenizer.ggml.pre`).

llama.cpp's converter looks the name up by a hash over an encoded text, so it knows published vocabularies only. Here it
follows from the rules in tokenizer.json themselves, which a vocabulary that somebody trained shares with the published
ones. Rules that are not known exactly are refused. Source: llama.cpp `src/llama-vocab.cpp`.
"""

from __future__ import annotations

from typing import Any

from craton.core.errors import Unsupported

_CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_WORDS = r"[^\r\n\p{L}\p{N}]?\p{L}+"
_REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_LLAMA3 = rf"{_CONTRACTIONS}|{_WORDS}|\p{{N}}{{1,3}}|{_REST}"
_QWEN2 = rf"{_CONTRACTIONS}|{_WORDS}|\p{{N}}|{_REST}"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_BEFORE, _SLASHES = r"[^\r\n\p{L}\p{N}]?", r" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_GPT4O = "|".join(
    (
        f"{_BEFORE}{_UPPER}*{_LOWER}+{_CONTRACTIONS}?",
        f"{_BEFORE}{_UPPER}+{_LOWER}*{_CONTRACTIONS}?",
        rf"\p{{N}}{{1,3}}|{_SLASHES}",
    )
)
_TEKKEN = rf"{_BEFORE}{_UPPER}*{_LOWER}+|{_BEFORE}{_UPPER}+{_LOWER}*|\p{{N}}|{_SLASHES}"
_DEEPSEEK3 = (
    r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*"""
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_GPT2 = "gpt-2"
_BYTES = "bytes"

_NAMES: dict[tuple[str, ...], str] = {
    (_GPT2,): "gpt-2",
    ("digit", _GPT2): "smollm",
    (_LLAMA3, _BYTES): "llama-bpe",
    (_QWEN2, _BYTES): "qwen2",
    (_GPT4O, _BYTES): "gpt-4o",
    (_TEKKEN, _BYTES): "tekken",
    (r"\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+", _DEEPSEEK3, _BYTES): "deepseek-v3",  # noqa: RUF001
    (r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥ࠀ-一가-퟿]+", "digit", _BYTES): "deepseek-coder",
    ("punctuation", _GPT2, "digits", "[0-9][0-9][0-9]"): "falcon",
}
_WHOLE_WORDS = frozenset({"llama-bpe", "tekken"})
"""Where llama.cpp takes a whole word that is in the vocabulary before it merges anything."""


def pretokenizer(tokenizer: dict[str, Any]) -> str:
    """tokenizer: the content of tokenizer.json, of a byte-level vocabulary. Raises Unsupported."""
    steps = tuple(_step(part) for part in _parts(tokenizer.get("pre_tokenizer")))
    name = _NAMES.get(steps)
    if name is None:
        raise Unsupported(
            f"The pre-tokenizer {' + '.join(steps)[:200] or 'of this tokenizer'} in GGUF",
            f"Those of {', '.join(sorted(set(_NAMES.values())))} are.",
        )
    whole = (tokenizer.get("model") or {}).get("ignore_merges") is True
    if name == "llama-bpe" and not whole:
        return "smaug-bpe"  # the same rules
    if whole and name not in {*_WHOLE_WORDS, "gpt-4o"}:
        raise Unsupported(f"ignore_merges together with the pre-tokenizer {name!r} in GGUF")
    return name


def _parts(step: Any) -> list[dict[str, Any]]:
    if not isinstance(step, dict):
        return []
    if step.get("type") != "Sequence":
        return [step]
    inner = step.get("pretokenizers")
    return [part for one in inner for part in _parts(one)] if isinstance(inner, list) else []


def _step(part: dict[str, Any]) -> str:
    kind = str(part.get("type"))[:40]
    if kind == "ByteLevel" and not part.get("add_prefix_space"):
        return _GPT2 if part.get("use_regex", True) else _BYTES
    if kind == "Digits":
        return "digit" if part.get("individual_digits") else "digits"
    if kind == "Punctuation" and part.get("behavior") == "Contiguous":
        return "punctuation"
    if kind == "Split" and part.get("behavior") == "Isolated" and not part.get("invert"):
        pattern = part.get("pattern")
        if isinstance(pattern, dict) and isinstance(pattern.get("Regex"), str):
            return str(pattern["Regex"]).replace("\r", r"\r").replace("\n", r"\n")
    return f"an unknown {kind}"
