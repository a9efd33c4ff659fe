"""How browsers are to take a repository's files: nothing in them runs with this server's name.

What a browser may show is shown; the rest is for saving. Types are told by the name alone and never guessed at.
"""

from __future__ import annotations

from urllib.parse import quote

_TEXT = "text/plain; charset=utf-8"
_SHOWN = {
    "csv": _TEXT,
    "gif": "image/gif",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "json": "application/json",
    "jsonl": _TEXT,
    "flac": "audio/flac",
    "md": _TEXT,
    "mp3": "audio/mpeg",
    "mp4": "video/mp4",
    "pdf": "application/pdf",
    "png": "image/png",
    "py": _TEXT,
    "toml": _TEXT,
    "tsv": _TEXT,
    "txt": _TEXT,
    "wav": "audio/wav",
    "webm": "video/webm",
    "webp": "image/webp",
    "yaml": _TEXT,
    "yml": _TEXT,
}
_DOTFILES = frozenset({".gitattributes", ".gitignore", "LICENSE"})


def shown(path: str) -> dict[str, str]:
    """The headers that say so."""
    name = path.rpartition("/")[2]
    ending = name.rpartition(".")[2].lower()
    kind = _TEXT if name in _DOTFILES else _SHOWN.get(ending, "application/octet-stream")
    plain = "".join(it if it.isascii() and it.isprintable() and it not in '"\\' else "_" for it in name)
    how = "attachment" if kind == "application/octet-stream" else "inline"
    return {
        "content-type": kind,
        "content-disposition": f"{how}; filename*=UTF-8''{quote(name, safe='')}; filename=\"{plain}\";",
        "x-content-type-options": "nosniff",
        "content-security-policy": "default-src 'none'; sandbox",
    }
