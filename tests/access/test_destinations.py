"""The allow-list by name, and what an address must be."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from craton.access.destinations import Destinations, is_public
from craton.core.errors import InvalidRequest, OutgoingRefused


def allowed(destinations: Destinations, url: tuple[str, str, int | None]) -> bool:
    try:
        destinations.check(*url)
    except OutgoingRefused:
        return False
    return True


def reaches(destinations: Destinations, host: str, port: int, address: str) -> bool:
    try:
        destinations.check_address(host, port, ip_address(address))
    except OutgoingRefused:
        return False
    return True


@pytest.mark.parametrize(
    ("entry", "inside", "outside"),
    [
        (
            "api.example.com",
            [("https", "api.example.com", None), ("http", "API.example.com.", 80)],
            [
                ("https", "api.example.com", 8443),
                ("https", "x.api.example.com", None),
                ("https", "api.example.com.evil.net", None),
                ("ftp", "api.example.com", None),
            ],
        ),
        ("example.com:8443", [("https", "example.com", 8443)], [("https", "example.com", None)]),
        (
            "*.example.com",
            [("https", "a.example.com", None), ("https", "a.b.example.com", 443)],
            [("https", "example.com", None), ("https", "evilexample.com", None), ("https", "a.example.com", 22)],
        ),
        (
            "http://127.0.0.1:11434",
            [("http", "127.0.0.1", 11434)],
            [
                ("http", "127.0.0.1", 11435),
                ("https", "127.0.0.1", 11434),
                ("http", "localhost", 11434),
                ("http", "127.0.0.2", 11434),
                ("http", "::ffff:127.0.0.1", 11434),
                ("http", "2130706433", 11434),
                ("http", "0x7f000001", 11434),
                ("http", "0177.0.0.1", 11434),
                ("http", "127.1", 11434),
            ],
        ),
        ("http://[::1]:80", [("http", "::1", None), ("http", "[::1]", 80)], [("http", "127.0.0.1", None)]),
        (
            "10.1.0.0/16",
            [("http", "10.1.2.3", 5000)],
            [("http", "10.2.0.1", 5000), ("http", "::ffff:10.1.2.3", 5000), ("http", "internal.example", 5000)],
        ),
    ],
)
def test_an_entry_allows_what_it_names_and_nothing_else(
    entry: str, inside: list[tuple[str, str, int | None]], outside: list[tuple[str, str, int | None]]
) -> None:
    destinations = Destinations([entry])
    assert [url for url in inside if not allowed(destinations, url)] == []
    assert [url for url in outside if allowed(destinations, url)] == []
    assert not any(allowed(Destinations([]), url) for url in inside)


@pytest.mark.parametrize(
    "host", ["127.1", "0x7f.0.0.1", "3232235521", "017700000001", "0x7f000001", "", "a b", "a/b", "a\n", "ex@mple", "."]
)
def test_what_is_not_a_plain_name_is_refused_whatever_the_list_says(host: str) -> None:
    with pytest.raises(OutgoingRefused):
        Destinations(["0.0.0.0/0", "::/0"]).check("http", host, None)
    with pytest.raises(InvalidRequest):
        Destinations([f"http://{host}:80"])


@pytest.mark.parametrize(
    "entry",
    ["", "*", "*.", "https://*.example.com", "ftp://a", "a/b", "a?b", "u@a", "a:99999", "10.0.0.1/8", "1.2.3.4/99"],
)
def test_an_entry_that_cannot_be_read_is_told(entry: str) -> None:
    with pytest.raises(InvalidRequest):
        Destinations([entry])


# fmt: off
NOT_PUBLIC = [
    "127.0.0.1", "127.8.8.8", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254",
    "0.0.0.0", "224.0.0.1", "255.255.255.255", "240.0.0.1", "198.18.0.1", "192.0.2.1", "100.100.100.200",
    "::1", "::", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:169.254.169.254",
    "64:ff9b::127.0.0.1", "64:ff9b::169.254.169.254", "2002:7f00:1::", "2001:0:1::1", "fe80::1",
    "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "2001:db8::1",
]
# fmt: on


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_a_public_name_never_leads_to_an_address_that_is_not(address: str) -> None:
    assert not is_public(ip_address(address))
    assert not reaches(Destinations(["example.com", "*.example.com"]), "example.com", 443, address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "64:ff9b::8.8.8.8"])
def test_public_addresses_are(address: str) -> None:
    assert is_public(ip_address(address))


def test_a_place_named_by_its_url_may_be_private_but_never_the_metadata_service() -> None:
    destinations = Destinations(["http://ollama.lan:11434"])
    for address in ("127.0.0.1", "192.168.1.7", "fd12::7", "100.64.0.9", "8.8.8.8"):
        assert reaches(destinations, "ollama.lan", 11434, address)
    for address in ("169.254.169.254", "fe80::1", "fd00:ec2::254", "100.100.100.200", "::ffff:127.0.0.1", "0.0.0.0"):
        assert not reaches(destinations, "ollama.lan", 11434, address)
    assert not reaches(destinations, "ollama.lan", 11435, "127.0.0.1")


def test_a_network_allows_names_that_lead_into_it() -> None:
    destinations = Destinations(["10.0.0.0/8", "store.example.com"])
    assert reaches(destinations, "store.example.com", 443, "10.9.9.9")
    assert not reaches(destinations, "store.example.com", 443, "192.168.0.1")
