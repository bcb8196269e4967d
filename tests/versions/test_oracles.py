"""The orders agree with programs that others wrote, on real and on generated versions.

Each oracle answers for all pairs in one process. Slow: 100,000 pairs each.
"""

from __future__ import annotations

import json
import lzma
import random
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from packaging.version import InvalidVersion, Version

from sidelight.errors import FormatError
from sidelight.versions import sort_key

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.slow

PAIRS = 100_000
_REFUSED = 9  # an oracle's answer where it is stricter than the package manager
_FEEDS = {
    "dpkg": ("debian-11-12-13.osv", "Debian"),
    "rpm": ("almalinux-8-9-10.osv", "AlmaLinux"),
    "pep440": ("pypi.pysec-osv", "PyPI"),
}
_PARTS = ["0", "00", "1", "01", "2", "10", "9", "a", "b", "alpha", "rc", "git", "el9", "deb12u"]
_MARKS = {"dpkg": [".", "+", "~", "-", "", "a"], "rpm": [".", "~", "^", "_", "-", "", "a"]}


def _generated(scheme: str) -> list[tuple[str, str]]:
    chance = random.Random(20241123)

    def one() -> str:
        text = chance.choice(["", "", "1:", "0:"]) + chance.choice(["0", "1", "2"])
        for _part in range(chance.randrange(6)):
            text += chance.choice(_MARKS[scheme]) + chance.choice(_PARTS)
        return text

    def neighbour(text: str) -> str:
        at = chance.randrange(len(text) + 1)
        return text[:at] + chance.choice([*_PARTS, *_MARKS[scheme]]) + text[at:]

    pairs: list[tuple[str, str]] = []
    while len(pairs) < PAIRS:
        left = one()
        pairs.append((left, neighbour(left) if chance.random() < 0.5 else one()))
    return pairs


def _real(shared_data: Path, scheme: str) -> list[tuple[str, str]]:
    feed, prefix = _FEEDS[scheme]
    by_name: dict[str, set[str]] = {}
    with lzma.open(shared_data / f"advisories/osv/{feed}.jsonl.xz", "rt") as stream:
        for line in stream:
            for row in json.loads(line)["affected"]:
                found = by_name.setdefault(row["package"]["name"], set())
                found.update(row.get("versions", ()))
                for span in row.get("ranges", ()):
                    if row["package"]["ecosystem"].startswith(prefix) and span["type"] != "GIT":
                        found.update(v for event in span["events"] for v in event.values())
    chance = random.Random(7)
    names = sorted(name for name, versions in by_name.items() if len(versions) > 1)
    pools = {name: sorted(by_name[name]) for name in names}
    picked = (pools[chance.choice(names)] for _pair in range(PAIRS))
    return [(chance.choice(pool), chance.choice(pool)) for pool in picked]


def _by_dpkg(pairs: list[tuple[str, str]]) -> list[int]:
    # Dpkg::Version is the distribution's own second implementation; one process for all pairs.
    program = (
        "use Dpkg::Version; while (<STDIN>) { chomp; my ($l, $r) = split /\\t/;"
        " my $d = eval { version_compare($l, $r) }; print $d // 9, qq(\\n) }"
    )
    return _answers(["perl", "-e", program], pairs)


def _by_rpm(pairs: list[tuple[str, str]]) -> list[int]:
    program = (
        "%{lua: for line in io.lines() do local l, r = line:match('^(.-)\\t(.*)$')"
        " print(rpm.vercmp(l, r) .. ' ') end}"
    )
    return _answers(["rpm", "--eval", program], pairs)


def _answers(command: list[str], pairs: list[tuple[str, str]]) -> list[int]:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    lines = "".join(f"{left}\t{right}\n" for left, right in pairs)
    done = subprocess.run(command, input=lines, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"{command[0]} cannot answer: {done.stderr[:200]}")
    return [int(line) for line in done.stdout.split()]


def _disagreements(
    scheme: str, pairs: list[tuple[str, str]], oracle: Callable[[list[tuple[str, str]]], list[int]]
) -> list[tuple[str, str, int]]:
    asked, keys = [], []
    for left, right in pairs:
        try:
            keys.append((sort_key(scheme, left), sort_key(scheme, right)))
        except FormatError:
            continue
        asked.append((left, right))
    assert len(asked) > PAIRS * 0.7
    answers = oracle(asked)
    assert len(answers) == len(asked)
    assert answers.count(_REFUSED) < PAIRS * 0.3
    return [
        (left, right, answer)
        for (left, right), (one, other), answer in zip(asked, keys, answers, strict=True)
        if answer not in {_REFUSED, (one > other) - (one < other)}
    ]


def test_dpkg_agrees_on_generated_pairs() -> None:
    assert _disagreements("dpkg", _generated("dpkg"), _by_dpkg) == []


def test_rpm_agrees_on_generated_pairs() -> None:
    # rpm is asked for versions with a release, as every installed package has one.
    pairs = [(f"{left}-1", f"{right}-1") for left, right in _generated("rpm")]
    assert _disagreements("rpm", pairs, _by_rpm) == []


@pytest.mark.conformance
def test_dpkg_agrees_on_real_pairs(shared_data: Path) -> None:
    assert _disagreements("dpkg", _real(shared_data, "dpkg"), _by_dpkg) == []


@pytest.mark.conformance
def test_rpm_agrees_on_real_pairs(shared_data: Path) -> None:
    assert _disagreements("rpm", _real(shared_data, "rpm"), _by_rpm) == []


def _by_packaging(pairs: list[tuple[str, str]]) -> list[int]:
    found = [(Version(left), Version(right)) for left, right in pairs]
    return [(left > right) - (left < right) for left, right in found]


def test_packaging_agrees_on_generated_pairs() -> None:
    chance = random.Random(20241124)

    def one() -> str:
        return (
            chance.choice(["", "", "", "1!", "v"])
            + ".".join(chance.choices(["0", "1", "2", "10", "01"], k=chance.randrange(1, 5)))
            + chance.choice(["", "", "a", "-b.2", "rc1", "_alpha3", "c0", "preview"])
            + chance.choice(["", "", ".post", "-1", "rev2", ".post10"])
            + chance.choice(["", "", ".dev", "dev3", "-dev.12"])
            + chance.choice(["", "", "+1", "+a", "+a.1", "+1-b", "+01_2"])
        )

    pairs = [(one(), one()) for _pair in range(PAIRS)]
    assert _disagreements("pep440", pairs, _by_packaging) == []


@pytest.mark.conformance
def test_packaging_agrees_on_real_pairs(shared_data: Path) -> None:
    pairs = []
    for left, right in _real(shared_data, "pep440"):
        try:
            Version(left), Version(right)
        except InvalidVersion:
            continue
        pairs.append((left, right))
    assert _disagreements("pep440", pairs, _by_packaging) == []


def test_dpkg_itself_agrees_on_some_generated_pairs() -> None:
    """The program proper, which answers one pair a process."""
    if shutil.which("dpkg") is None:
        pytest.skip("dpkg is not installed")
    for left, right in _generated("dpkg")[:500]:
        try:
            is_less = sort_key("dpkg", left) < sort_key("dpkg", right)
        except FormatError:
            continue
        done = subprocess.run(
            ["dpkg", "--compare-versions", left, "lt", right], capture_output=True, check=False
        )
        assert (done.returncode == 0) == is_less, (left, right)
