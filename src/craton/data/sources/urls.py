"""Addresses of web pages: one spelling for each, which of them belong to a crawl, and which are traps."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from posixpath import normpath
from typing import Literal
from urllib.parse import parse_qsl, quote, urlencode, urljoin, urlsplit, urlunsplit

from msgspec import Struct

MAX_URL = 2048
MAX_REPEATS = 3  # of one part in a path: /a/b/a/b/a/b... is a link that is relative by mistake
MAX_VARIANTS = 200  # queries of one path that are read: a calendar has one for every month of all time
PORTS = {"http": 80, "https": 443}
TRACKING = re.compile(r"utm_\w+|gclid|fbclid|msclkid|mc_[ce]id|_ga|sessionid|phpsessid|jsessionid|sid", re.IGNORECASE)
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")  # RFC 3986
_KEPT = "/!$&'()*+,;=:@~-._?%"
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")


def normal(url: str, base: str = "") -> str:
    """One spelling: lower-case scheme and host, no default port, fragment, user or tracking parameters, dots resolved,
    parameters sorted. "" for what is no http(s) address, or too long a one."""
    try:
        parts = urlsplit(urljoin(base, url.strip()) if base else url.strip())
        host, port = (parts.hostname or "").rstrip(".").encode("idna").decode("ascii"), parts.port
    except (ValueError, UnicodeError):
        return ""
    if parts.scheme not in PORTS or not host or not re.fullmatch(r"[a-z0-9_.:-]+", host):
        return ""
    place = f"[{host}]" if ":" in host else host
    if port not in {None, PORTS[parts.scheme]}:
        place = f"{place}:{port}"
    parameters = [
        (name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if not TRACKING.fullmatch(name)
    ]
    spelled = urlunsplit((parts.scheme, place, _path(parts.path), urlencode(sorted(parameters)), ""))
    return spelled if len(spelled) <= MAX_URL else ""


def respell(path: str) -> str:
    """Escapes of what need not be escaped are undone, the others in capitals; what must be escaped is."""
    return quote(_ESCAPE.sub(_unescape, path), safe=_KEPT, errors="surrogatepass")


def _unescape(found: re.Match[str]) -> str:
    character = chr(int(found[1], 16))
    return character if character in _UNRESERVED else found[0].upper()


def _path(path: str) -> str:
    plain = respell(path)
    resolved = "/" + normpath("/" + plain).lstrip("/")
    return resolved + ("/" if plain.endswith(("/", "/.", "/..")) and resolved != "/" else "")


def origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


class _Seed(Struct, frozen=True):
    """port None: the scheme's own. path: what others begin with."""

    host: str
    port: int | None
    path: str


class Scope:
    """Which addresses belong to a crawl that begins at these seeds (normal ones)."""

    def __init__(self, seeds: Sequence[str], kind: Literal["default", "host_only", "subdomains"]) -> None:
        self._seeds = [_seed(url) for url in seeds]
        self._kind = kind

    def admits(self, url: str) -> bool:
        """http and https are the same place here."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        for seed in self._seeds:
            if self._kind == "subdomains":
                parent = seed.host.removeprefix("www.")
                same = host == parent or host.endswith("." + parent)
            else:
                same = host == seed.host
            below = parts.path.startswith(seed.path) or parts.path == seed.path.rstrip("/")
            if same and parts.port == seed.port and (self._kind != "default" or below):
                return True
        return False


def _seed(url: str) -> _Seed:
    """/docs/ and /docs take what lies below /docs/; /docs/index.html what lies beside it."""
    parts = urlsplit(url)
    path = parts.path
    if "." in path.rpartition("/")[2]:
        path = path.rpartition("/")[0] + "/"
    return _Seed(parts.hostname or "", parts.port, path if path.endswith("/") else path + "/")


class Traps:
    """Refuses the addresses by which a site never ends."""

    def __init__(self) -> None:
        self._variants: Counter[str] = Counter()

    def catches(self, url: str) -> bool:
        """Each address is asked about once."""
        parts = urlsplit(url)
        if max(Counter(part for part in parts.path.split("/") if part).values(), default=0) > MAX_REPEATS:
            return True
        if not parts.query:
            return False
        place = f"{parts.netloc}{parts.path}"
        self._variants[place] += 1
        return self._variants[place] > MAX_VARIANTS
