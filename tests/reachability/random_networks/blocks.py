"""The addresses, CIDR blocks and ports that random networks are made of: few, so that they meet."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

INTERNET = "8.8.8.8"
INTERNET_SIX = "2001:4860:4860::8888"
PREMISES = "192.168.7.7"
ANY = "0.0.0.0/0"
ANY_SIX = "::/0"
OUTSIDE = ["8.8.8.0/24", "8.8.8.8/32", "8.0.0.0/6", "192.168.0.0/16", "192.168.7.0/24"]
OUTSIDE_SIX = ["2001:4860::/32", "2001:4860:4860::8888/128", "2000::/3"]
PORTS = [22, 80, 443, 8080]
PORT_RANGES = [
    (0, 65535),
    (1024, 65535),
    (32768, 60999),
    (22, 22),
    (80, 80),
    (20, 100),
    (443, 8080),
    (0, 1023),
    (49152, 65535),
]
ZONES = ["us-east-1a", "us-east-1b"]


def chance(random: Random, share: float) -> bool:
    """Return True in this share of the cases; examples shrink to False, the simple case."""
    return random.random() > 1 - share


def vpc_block(number: int) -> str:
    return f"10.{number}.0.0/16"


def vpc_block_six(number: int) -> str:
    return f"2600:1f16:0:{number:x}00::/56"


def subnet_block(number: int, part: int) -> str:
    return f"10.{number}.{part}.0/24"


def subnet_block_six(number: int, part: int) -> str:
    return f"2600:1f16:0:{number:x}{part:02x}::/64"


def host(number: int, part: int, last: int) -> str:
    return f"10.{number}.{part}.{last}"


def host_six(number: int, part: int, last: int) -> str:
    return f"2600:1f16:0:{number:x}{part:02x}::{last:x}"


def some(random: Random, choices: Sequence[str], most: int) -> list[str]:
    """Return up to `most` different choices."""
    wanted = random.randrange(min(most, len(choices)) + 1)
    return random.sample(list(choices), wanted)
