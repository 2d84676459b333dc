"""The address rule against IANA's registries of special-purpose addresses, every row of them. No packet is sent."""

from __future__ import annotations

import ipaddress
import random

import pytest

from pipeline.errors import BlockedAddress
from pipeline.web.addresses import check_address, parse, resolve


def words(text: str) -> list[str]:
    return text.split()


# https://www.iana.org/assignments/iana-ipv4-special-registry
IPV4 = words("""
0.0.0.0/8 0.0.0.0/32 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.0.0/29
192.0.0.8/32 192.0.0.9/32 192.0.0.10/32 192.0.0.170/32 192.0.0.171/32 192.0.2.0/24 192.31.196.0/24 192.52.193.0/24
192.88.99.0/24 192.88.99.2/32 192.168.0.0/16 192.175.48.0/24 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 240.0.0.0/4
255.255.255.255/32
""")
# https://www.iana.org/assignments/iana-ipv6-special-registry, but for ::ffff:0:0/96 and 2002::/16: those go by what
# they embed.
IPV6 = words("""
::1/128 ::/128 64:ff9b::/96 64:ff9b:1::/48 100::/64 100:0:0:1::/64 2001::/23 2001::/32 2001:1::1/128 2001:1::2/128
2001:1::3/128 2001:2::/48 2001:3::/32 2001:4:112::/48 2001:10::/28 2001:20::/28 2001:30::/28 2001:db8::/32
2620:4f:8000::/48 3fff::/20 5f00::/16 fc00::/7 fe80::/10
""")
# Multicast, what was given back, and what was never given out.
BESIDE = words("224.0.0.0/4 fec0::/10 ff00::/8 ::ffff:0:0:0/96 200::/7 400::/6 1000::/4 4000::/3 8000::/3 e000::/4")
PUBLIC_V4 = ("1.1.1.1", "8.8.8.8", "93.184.216.34", "100.63.255.255", "100.128.0.0", "172.15.255.255", "172.32.0.0")
PUBLIC_V4 += ("192.0.1.0", "192.88.98.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255")
PUBLIC_V6 = ("2001:200::1", "2001:4860:4860::8888", "2606:4700::1111", "2620:4f:7fff::1", "2a00::1", "3ffe::1")
FORMS = ("::ffff:{v4}", "::ffff:0:{v4}", "::{v4}", "64:ff9b::{v4}", "2002:{hi:x}:{lo:x}::1", "2a00::5efe:{v4}")
FORMS += ("2a00::200:5efe:{v4}",)


def some_of(text: str) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """The first, the last and a few addresses between."""
    network = ipaddress.ip_network(text)
    inside = [random.Random(text).randrange(network.num_addresses) for _ in range(3)]
    return [network[number] for number in sorted({0, network.num_addresses - 1, *inside})]


def embedded(form: str, v4: str) -> str:
    number = int(ipaddress.IPv4Address(v4))
    return form.format(v4=v4, hi=number >> 16, lo=number & 0xFFFF)


@pytest.mark.parametrize("network", [*IPV4, *IPV6, *BESIDE])
def test_nothing_of_the_registries_is_asked(network: str) -> None:
    for address in some_of(network):
        assert check_address(address), address
        assert check_address(str(address)), address
        shown = f"[{address}]" if address.version == 6 else str(address)
        with pytest.raises(BlockedAddress):
            target = parse(f"http://{shown}/a.jpg")
            resolve(target.host, target.port, lambda *_, **__: pytest.fail("asked the name service"))


@pytest.mark.parametrize("form", FORMS)
def test_nothing_of_the_registries_is_asked_inside_an_ipv6_address(form: str) -> None:
    for network in [*IPV4, "224.0.0.0/4"]:
        for address in some_of(network):
            hidden = embedded(form, str(address))
            assert check_address(hidden), (hidden, address)


def test_a_name_that_leads_there_is_refused_even_beside_a_public_address() -> None:
    for network in [*IPV4, *IPV6]:
        answers = [(2, 1, 6, "", (text, 80)) for text in ("93.184.216.34", str(some_of(network)[-1]))]
        with pytest.raises(BlockedAddress):
            resolve("pictures.example", 80, lambda *_, answers=answers, **__: answers)


@pytest.mark.parametrize("address", [*PUBLIC_V4, *PUBLIC_V6])
def test_the_neighbours_of_the_registries_are_public(address: str) -> None:
    assert check_address(address) is None


@pytest.mark.parametrize("form", ["::ffff:{v4}", "2002:{hi:x}:{lo:x}::1", "2a00::5efe:{v4}"])
def test_what_embeds_a_public_address_is_public(form: str) -> None:
    assert check_address(embedded(form, "93.184.216.34")) is None
