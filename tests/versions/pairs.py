"""Pairs of versions to ask oracles for: real ones of a package each, and generated ones."""

from __future__ import annotations

import json
import lzma
import random
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

Pair = tuple[str, str]

PAIRS = 100_000
# Where real versions of a scheme are: a feed, and the ecosystem whose rows are taken.
_FEEDS = {
    "dpkg": ("debian-11-12-13.osv", "Debian"),
    "rpm": ("almalinux-8-9-10.osv", "AlmaLinux"),
    "apk": ("alpine.osv", "Alpine"),
    "pep440": ("pypi.pysec-osv", "PyPI"),
    "semver": ("npm.ghsa-osv", "npm"),
    "go": ("go.vulndb-osv", "Go"),
    "maven": ("maven.ghsa-osv", "Maven"),
    "gem": ("rubygems.ghsa-osv", "RubyGems"),
    "nuget": ("nuget.ghsa-osv", "NuGet"),
    "composer": ("packagist.ghsa-osv", "Packagist"),
}


def real(shared_data: Path, scheme: str) -> list[Pair]:
    """Two versions of one package each, as the shared advisories name them."""
    feed, ecosystem = _FEEDS[scheme]
    by_name: dict[str, set[str]] = {}
    with lzma.open(shared_data / f"advisories/osv/{feed}.jsonl.xz", "rt") as stream:
        for line in stream:
            for row in json.loads(line)["affected"]:
                named = row.get("package", {})
                if not named.get("ecosystem", "").startswith(ecosystem):
                    continue
                found = by_name.setdefault(named["name"], set())
                found.update(row.get("versions", ()))
                for span in row.get("ranges", ()):
                    if span["type"] != "GIT":
                        found.update(v for event in span["events"] for v in event.values())
                found.discard("0")  # OSV's word for the very beginning
    chance = random.Random(7)
    pools = [sorted(versions) for _name, versions in sorted(by_name.items()) if len(versions) > 1]
    picked = (chance.choice(pools) for _pair in range(PAIRS))
    return [(chance.choice(pool), chance.choice(pool)) for pool in picked]


class _Recipe(NamedTuple):
    """How versions of a scheme are made: first numbers and dots, then one of each choice."""

    first: list[str]
    numbers: list[str]
    most: int  # numbers
    then: tuple[list[str], ...]
    least: int = 1


_SEMVER = ["", "", "-0", "-1", "-10", "-alpha", "-alpha.1", "-alpha.b", "-rc.2", "-rc.10", "-x-y.1"]
_RECIPES = {
    "apk": _Recipe(
        [""], ["0", "1", "2", "9", "10"], 4,
        (["", "", "a", "b", "z"],
         ["", "", "_alpha", "_beta2", "_pre", "_rc1", "_rc10", "_p1", "_git2"],
         ["", "", "_p2", "_alpha1"], ["", "-r0", "-r1", "-r10"]),
    ),
    "pep440": _Recipe(
        ["", "", "", "1!", "v"], ["0", "1", "2", "10", "01"], 4,
        (["", "", "a", "-b.2", "rc1", "_alpha3", "c0", "preview"],
         ["", "", ".post", "-1", "rev2", ".post10"], ["", "", ".dev", "dev3", "-dev.12"],
         ["", "", "+1", "+a", "+a.1", "+1-b", "+01_2"]),
    ),
    "semver": _Recipe([""], ["0", "1", "2", "10"], 3, (_SEMVER, ["", "", "+b", "+1.2"]), 3),
    "go": _Recipe(
        ["v"], ["0", "1", "2", "10"], 3,
        ([*_SEMVER, "-0.20200101000000-abcdefabcdef", "-0.20190101000000-000000000000",
          "-pre.0.20210101000000-abcdef123456"], ["", "", "+incompatible"]), 3,
    ),
    "maven": _Recipe(
        [""], ["0", "1", "2", "10"], 4,
        (["", "", "-alpha-1", "-alpha2", "-beta", "-M1", "-M10", "-rc1", "-cr2", "-SNAPSHOT", "-sp",
          "-sp1", ".Final", ".RELEASE", ".GA", "-jre", "-jre8", "-android", "-1", "-2", "-20200101",
          ".M3", ".RC1", ".Beta2", "a1", "b2", ".v2020"], ["", "", "", "-SNAPSHOT", "-1"]),
    ),
    "gem": _Recipe(
        [""], ["0", "1", "2", "10", "01"], 4,
        (["", "", ".a", ".b2", ".pre", ".rc1", ".rc.1", ".alpha", "-java"],
         ["", "", ".1", ".0", ".b"]),
    ),
    "nuget": _Recipe(["", "", "v"], ["0", "1", "2", "10", "01"], 4,
                     ([*_SEMVER, "-Alpha", "-RC.2"], ["", "", "+b"])),
    "composer": _Recipe(
        ["", "v"], ["0", "1", "2", "10"], 4,
        (["", "", "-alpha", "-alpha1", "-beta2", "-b2", "-RC1", "-rc10", "-dev", "-p1", "-patch2",
          "-pl3", "beta1", "RC2", "-stable"],),
    ),
}  # fmt: skip
_PARTS = ["0", "00", "1", "01", "2", "10", "9", "a", "b", "alpha", "rc", "git", "el9", "deb12u"]
_MARKS = {"dpkg": [".", "+", "~", "-", "", "a"], "rpm": [".", "~", "^", "_", "-", "", "a"]}


def generated(scheme: str) -> list[Pair]:
    """Pairs of which half have much in common, so that every rule of the order is met."""
    chance = random.Random(20241123)
    if scheme in _MARKS:
        return [_near(chance, _MARKS[scheme]) for _pair in range(PAIRS)]
    recipe = _RECIPES[scheme]
    pairs: list[Pair] = []
    while len(pairs) < PAIRS:
        numbers = _numbers(chance, recipe)
        other = numbers if chance.random() < 0.5 else _numbers(chance, recipe)
        left, right = (
            prefix + "".join(map(chance.choice, recipe.then)) for prefix in (numbers, other)
        )
        pairs.append((left, right))
    return pairs


def _numbers(chance: random.Random, recipe: _Recipe) -> str:
    count = chance.randint(recipe.least, recipe.most)
    return chance.choice(recipe.first) + ".".join(chance.choices(recipe.numbers, k=count))


def _near(chance: random.Random, marks: list[str]) -> Pair:
    def one() -> str:
        text = chance.choice(["", "", "1:", "0:"]) + chance.choice(["0", "1", "2"])
        for _part in range(chance.randrange(6)):
            text += chance.choice(marks) + chance.choice(_PARTS)
        return text

    left = one()
    if chance.random() < 0.5:
        return left, one()
    at = chance.randrange(len(left) + 1)
    return left, left[:at] + chance.choice([*_PARTS, *marks]) + left[at:]


# What a mutation puts in: what the schemes' own versions have, and what is next to it.
_PIECES = ("0", "1", "9", "00", ".", "-", "+", "~", "_", "^", ":", "a", "Z", "rc", "..", "-0", ".0")


def mutated(scheme: str) -> list[Pair]:
    """Generated pairs, of which one or both were changed in one to three places."""
    chance = random.Random(11)

    def changed(version: str) -> str:
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(version) + 1)
            put = chance.choice(_PIECES) if chance.random() < 0.7 else ""
            version = version[:at] + put + version[at + chance.randint(0, 1) :]
        return version or "0"

    found = []
    for left, right in generated(scheme):
        other = changed(left if chance.random() < 0.5 else right)
        found.append((left if chance.random() < 0.7 else changed(left), other))
    return found
