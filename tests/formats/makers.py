"""Writes the bytes of weight files, honest or not."""

from __future__ import annotations

import json
import math
import struct


class GgufMaker:
    """Writes GGUF bytes piece by piece, honest or not."""

    @staticmethod
    def text(value: str | bytes) -> bytes:
        raw = value.encode() if isinstance(value, str) else value
        return struct.pack("<Q", len(raw)) + raw

    def entry(self, key: str, kind: int, payload: bytes) -> bytes:
        return self.text(key) + struct.pack("<I", kind) + payload

    def string(self, key: str, value: str) -> bytes:
        return self.entry(key, 8, self.text(value))

    def number(self, key: str, value: int) -> bytes:
        return self.entry(key, 4, struct.pack("<I", value))

    def strings(self, key: str, values: list[str]) -> bytes:
        body = struct.pack("<IQ", 8, len(values)) + b"".join(self.text(value) for value in values)
        return self.entry(key, 9, body)

    def tensor(self, name: str, shape: tuple[int, ...], kind: int = 0, offset: int = 0) -> bytes:
        return self.text(name) + struct.pack(f"<I{len(shape)}Q", len(shape), *shape) + struct.pack("<IQ", kind, offset)

    @staticmethod
    def file(entries: list[bytes], tensors: list[bytes], data: bytes, version: int = 3) -> bytes:
        header = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(entries)) + b"".join(entries + tensors)
        return header + b"\0" * (-len(header) % 32) + data

    def model(self, **changes: bytes) -> bytes:
        """A tiny Llama with a chat template. changes: an entry in the place of the one with that name."""
        entries = {
            "architecture": self.string("general.architecture", "llama"),
            "name": self.string("general.name", "Tiny"),
            "file_type": self.number("general.file_type", 2),
            "context": self.number("llama.context_length", 128),
            "blocks": self.number("llama.block_count", 2),
            "width": self.number("llama.embedding_length", 64),
            "heads": self.number("llama.attention.head_count", 4),
            "kv": self.number("llama.attention.head_count_kv", 2),
            "tokens": self.strings("tokenizer.ggml.tokens", [f"token {number}" for number in range(1500)]),
            "template": self.string("tokenizer.chat_template", "{{ messages }}"),
        } | changes
        tensors = [self.tensor("token_embd.weight", (64, 10), 2, 0), self.tensor("norm.weight", (64,), 0, 384)]
        return self.file(list(entries.values()), tensors, b"\0" * (384 + 256))


def safetensors(tensors: dict[str, tuple[int, ...]]) -> bytes:
    """A float32 file with tensors of these shapes."""
    header, end = {}, 0
    for name, shape in tensors.items():
        size = 4 * math.prod(shape)
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [end, end + size]}
        end += size
    encoded = json.dumps(header).encode()
    return struct.pack("<Q", len(encoded)) + encoded + b"\0" * end
