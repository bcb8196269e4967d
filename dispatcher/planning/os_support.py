"""The methods that can read an operating system, from os_support.json. PURE but for its own data.

An operating system that is not in the list is tried by each method that its platform has: a machine
without advisories is PARTIAL, which never looks clean.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

from dispatcher.planning.facts import OsSupport
from sidelight.model import PlatformType


@cache
def _data() -> dict[str, Any]:
    text = files("dispatcher.planning").joinpath("os_support.json").read_text("utf-8")
    data: dict[str, Any] = json.loads(text)
    return data


@cache
def support_of(platform: PlatformType, name: str = "") -> OsSupport:
    """Return the methods for a platform and SSM's `PlatformName`, which may be empty."""
    row = _data()["platforms"][platform.value]
    if platform is PlatformType.LINUX:
        word = name.casefold()
        for listed in _data()["operating_systems"]:
            if word.startswith(listed["prefix"].casefold()):
                row = listed
    return {
        (True, True): OsSupport.BOTH,
        (True, False): OsSupport.AGENT_BASED,
        (False, True): OsSupport.AGENTLESS,
        (False, False): OsSupport.NEITHER,
    }[row["agent_based"], row["agentless"]]


def listed() -> list[tuple[str, bool, bool]]:
    """Return all rows: name, whether by agent, whether by snapshot."""
    data = _data()
    rows = [(row["prefix"], row["agent_based"], row["agentless"])
            for row in data["operating_systems"]]  # fmt: skip
    others = [(f"{name}, all others" if name == "Linux" else name, row["agent_based"],
               row["agentless"]) for name, row in data["platforms"].items()]  # fmt: skip
    return rows + others
