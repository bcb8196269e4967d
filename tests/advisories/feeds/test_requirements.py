"""Requirements of Ruby and PHP as intervals, and their complement."""

from __future__ import annotations

import json
import lzma
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight.advisories.database.version_spans import spans
from sidelight.advisories.feeds.formats import friendsofphp
from sidelight.advisories.feeds.formats.requirements import interval, outside
from sidelight.errors import DamagedError
from sidelight.model import Affected, Interval
from sidelight.versions import sort_key

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ([">= 1.2"], Interval("1.2")),
        (["> 1.2"], Interval("1.2", introduced_excluded=True)),
        (["<= 1.2"], Interval("", "1.2", end_included=True)),
        (["~> 1.2.3"], Interval("1.2.3", "1.3.A")),
        (["~> 1.2"], Interval("1.2", "2.A")),
        (["~> 2"], Interval("2", "3.A")),
        (["~> 3.1.0.rc5"], Interval("3.1.0.rc5", "3.2.A")),
        (["~> 4.2.5", ">= 4.2.5.1"], Interval("4.2.5.1", "4.3.A")),
        (["1.0"], Interval("1.0", "1.0", end_included=True)),
        ([">= 2", "< 1"], None),
        (["> 1", "< 1"], None),
    ],
)
def test_terms_bound_an_interval(terms: list[str], expected: Interval | None) -> None:
    assert interval(terms, "gem") == expected


@pytest.mark.parametrize("term", ["about 1.2", "!= 1.2", "^1.2", "~> rc"])
def test_another_form_is_damage(term: str) -> None:
    with pytest.raises(DamagedError):
        interval([term], "gem")


_version = st.integers(0, 9).map("1.{}".format)
_term = st.tuples(st.sampled_from([">=", ">", "<", "<=", "=", "~>"]), _version).map(" ".join)


def _has(found: tuple[Interval, ...], version: str, ecosystem: str = "RubyGems") -> bool:
    compiled, _refused = spans(Affected(ecosystem, "x", found))
    return any(span.contains(sort_key(ecosystem, version)) for span in compiled)


@given(st.lists(st.lists(_term, min_size=1, max_size=2), max_size=4), _version)
def test_a_version_is_in_one_of_the_intervals_or_outside_them_all(
    requirements: list[list[str]], version: str
) -> None:
    safe = [found for terms in requirements if (found := interval(terms, "gem")) is not None]
    assert _has(tuple(safe), version) != _has(outside(safe, "gem"), version)


def _records(shared_data: Path, feed: str) -> Iterator[dict[str, Any]]:
    with lzma.open(shared_data / f"advisories/os-native/{feed}.jsonl.xz", "rt") as stream:
        for line in stream:
            yield json.loads(line)


def _near(requirement: str) -> set[str]:
    """Versions at a requirement's own bounds and on both sides of them."""
    found: set[str] = set()
    for version in re.findall(r"[0-9][0-9A-Za-z.]*", requirement):
        numbers = re.findall("[0-9]+", version)
        next_ones = [
            ".".join([*numbers[:at], str(int(numbers[at]) + 1)]) for at in range(len(numbers))
        ]
        for one in (version, *next_ones):
            found |= {one, f"{one}.1", f"{one}-beta1"}
    return found


def _answers(command: list[str], pairs: list[tuple[str, str]]) -> list[bool | None]:
    """What it says of each; None where it takes the version for none."""
    lines = "".join(f"{requirement}\t{version}\n" for requirement, version in pairs)
    done = subprocess.run(command, input=lines, capture_output=True, text=True, check=True)
    return [json.loads(answer) for answer in done.stdout.split()]


@pytest.mark.conformance
def test_rubygems_itself_agrees_on_all_requirements_of_the_real_feed(shared_data: Path) -> None:
    if shutil.which("ruby") is None:
        pytest.skip("Ruby is not installed (Debian package: ruby)")
    requirements = {
        requirement
        for record in _records(shared_data, "rubysec")
        if "gem" in record
        for field in ("patched_versions", "unaffected_versions")
        for requirement in record.get(field) or ()
    }
    pairs = [(item, version) for item in sorted(requirements) for version in sorted(_near(item))]
    assert len(pairs) > 10_000
    program = (
        'STDIN.each_line { |line| term, version = line.chomp.split("\t");'
        ' puts Gem::Requirement.new(*term.split(",")).satisfied_by?(Gem::Version.new(version)) }'
    )
    answers = _answers(["ruby", "-e", program], pairs)
    spans_of = {item: interval(item.split(","), "gem") for item in requirements}
    assert [
        (item, version, answer)
        for (item, version), answer in zip(pairs, answers, strict=True)
        if _has(tuple(filter(None, [spans_of[item]])), version) != answer
    ] == []


@pytest.mark.conformance
def test_composer_itself_agrees_on_all_constraints_of_the_real_feed(shared_data: Path) -> None:
    """But for pre-releases of what fixes: these are taken as affected (friendsofphp.py)."""
    library = Path("/usr/share/php/Composer/Semver/autoload.php")
    if not library.exists():
        pytest.skip("Composer's own semver is absent (Debian package: php-composer-semver)")
    pairs: list[tuple[str, str]] = []
    affected: list[bool] = []
    for record in filter(friendsofphp.recognises, _records(shared_data, "friendsofphp")):
        constraint = "||".join(",".join(b["versions"]) for b in record["branches"].values())
        rows = [row for advisory in friendsofphp.parse(record) for row in advisory.affected]
        for version in sorted(_near(constraint)):
            pairs.append((constraint, version))
            affected.append(any(_has(row.intervals, version, "Packagist") for row in rows))
    assert len(pairs) > 10_000
    program = (
        f"require '{library}'; while (($line = fgets(STDIN)) !== false) {{"
        " [$constraint, $version] = explode(chr(9), rtrim($line, chr(10)));"
        " try { $holds = Composer\\Semver\\Semver::satisfies($version, $constraint); }"
        " catch (UnexpectedValueException) { $holds = null; } echo json_encode($holds), chr(10); }"
    )
    answers = _answers(["php", "-r", program], pairs)
    unlike = [
        (constraint, version, answer)
        for (constraint, version), answer, is_affected in zip(pairs, answers, affected, strict=True)
        if answer not in {None, is_affected}
    ]
    assert [item for item in unlike if item[2] or "-beta1" not in item[1]] == []
    assert all(f"<{item[1].removesuffix('-beta1')}" in item[0] for item in unlike)
