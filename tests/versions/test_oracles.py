"""The orders agree with programs that others wrote, on real and on generated versions.

Each oracle answers for all pairs in one process. Slow: 100,000 pairs each.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.version import InvalidVersion, Version

from sidelight.errors import FormatError
from sidelight.versions import sort_key
from tests.versions.pairs import generated, mutated, real

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.versions.pairs import Pair

pytestmark = pytest.mark.slow

_REFUSED = 9  # an oracle's answer where it is stricter than the package manager


def _by_dpkg(pairs: list[Pair]) -> list[int]:
    # Dpkg::Version is the distribution's own second implementation; one process for all pairs.
    program = (
        "use Dpkg::Version; while (<STDIN>) { chomp; my ($l, $r) = split /\\t/;"
        " my $d = eval { version_compare($l, $r) }; print $d // 9, qq(\\n) }"
    )
    return _answers(["perl", "-e", program], pairs)


def _by_rpm(pairs: list[Pair]) -> list[int]:
    program = (
        "%{lua: for line in io.lines() do local l, r = line:match('^(.-)\\t(.*)$')"
        " print(rpm.vercmp(l, r) .. ' ') end}"
    )
    return _answers(["rpm", "--eval", program], pairs)


def _answers(command: list[str], pairs: list[Pair]) -> list[int]:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    lines = "".join(f"{left}\t{right}\n" for left, right in pairs)
    done = subprocess.run(command, input=lines, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"{command[0]} cannot answer: {done.stderr[:200]}")
    return [int(line) for line in done.stdout.split()]


def _disagreements(
    scheme: str,
    pairs: list[Pair],
    oracle: Callable[[list[Pair]], list[int]],
    *,
    valid: float = 0.7,
) -> list[tuple[str, str, int]]:
    """The pairs on which the two differ; `valid` is the least share that both must answer."""
    parsed_pairs, keys = [], []
    for left, right in pairs:
        try:
            keys.append((sort_key(scheme, left), sort_key(scheme, right)))
        except FormatError:
            continue
        parsed_pairs.append((left, right))
    assert len(parsed_pairs) > len(pairs) * valid
    answers = oracle(parsed_pairs)
    assert len(answers) == len(parsed_pairs)
    assert answers.count(_REFUSED) < len(pairs) * (1 - valid)
    return [
        (left, right, answer)
        for (left, right), (one, other), answer in zip(parsed_pairs, keys, answers, strict=True)
        if answer not in {_REFUSED, (one > other) - (one < other)}
    ]


def test_dpkg_agrees_on_generated_pairs() -> None:
    assert _disagreements("dpkg", generated("dpkg"), _by_dpkg) == []


def test_rpm_agrees_on_generated_pairs() -> None:
    # rpm is asked for versions with a release, as every installed package has one.
    pairs = [(f"{left}-1", f"{right}-1") for left, right in generated("rpm")]
    assert _disagreements("rpm", pairs, _by_rpm) == []


@pytest.mark.conformance
def test_dpkg_agrees_on_real_pairs(shared_data: Path) -> None:
    assert _disagreements("dpkg", real(shared_data, "dpkg"), _by_dpkg) == []


@pytest.mark.conformance
def test_rpm_agrees_on_real_pairs(shared_data: Path) -> None:
    assert _disagreements("rpm", real(shared_data, "rpm"), _by_rpm) == []


def _by_packaging(pairs: list[Pair]) -> list[int]:
    found = [(Version(left), Version(right)) for left, right in pairs]
    return [(left > right) - (left < right) for left, right in found]


def test_packaging_agrees_on_generated_pairs() -> None:
    assert _disagreements("pep440", generated("pep440"), _by_packaging) == []


@pytest.mark.conformance
def test_packaging_agrees_on_real_pairs(shared_data: Path) -> None:
    pairs = []
    for left, right in real(shared_data, "pep440"):
        try:
            Version(left), Version(right)
        except InvalidVersion:
            continue
        pairs.append((left, right))
    assert _disagreements("pep440", pairs, _by_packaging) == []


def _by_ruby(pairs: list[Pair]) -> list[int]:
    """RubyGems itself; what 3.6 orders unlike 3.3 it is not asked (docs/decisions/0011)."""
    program = (
        "v = Gem::Version; leaps = v.new('1.a.0.b').canonical_segments.size < 4;"
        " odd = ->(t) { leaps && t.gsub('-', '.pre.').match?(/[a-z].*[.][0.]+[a-z]/i) };"
        " STDIN.each_line { |line| a, b = line.chomp.split(%q(\t));"
        " asked = v.correct?(a) && v.correct?(b) && !odd[a] && !odd[b];"
        " puts asked ? v.new(a) <=> v.new(b) : 9 }"
    )
    return _answers(["ruby", "-e", program.replace("%q(\t)", '"\\t"')], pairs)


def _by_npm(pairs: list[Pair]) -> list[int]:
    npm = shutil.which("npm")
    found = list(Path(npm).resolve().parents[1].rglob("semver/package.json")) if npm else []
    if not found:
        pytest.skip("npm's own semver is absent (Debian package: npm)")
    program = (
        "const s = require(process.argv[1]);"
        "const lines = require('fs').readFileSync(0, 'utf8').trimEnd().split('\\n');"
        "for (const line of lines) { const [a, b] = line.split('\\t');"
        " console.log(s.valid(a, true) && s.valid(b, true) ? s.compare(a, b, true) : 9) }"
    )
    return _answers(
        ["node", "-e", program, str(min(found, key=lambda path: len(path.parts)).parent)], pairs
    )


def _by_composer(pairs: list[Pair]) -> list[int]:
    library = Path("/usr/share/php/Composer/Semver/autoload.php")
    if not library.exists():
        pytest.skip("Composer's own semver is absent (Debian package: php-composer-semver)")
    program = (
        f"require '{library}'; $p = new Composer\\Semver\\VersionParser;"
        " while (($line = fgets(STDIN)) !== false) {"
        " [$a, $b] = explode(chr(9), rtrim($line, chr(10)));"
        " try { $a = $p->normalize($a); $b = $p->normalize($b);"
        " $less = Composer\\Semver\\Comparator::lessThan($a, $b);"
        " $more = Composer\\Semver\\Comparator::greaterThan($a, $b); echo $more - $less, chr(10); }"
        " catch (UnexpectedValueException) { echo 9, chr(10); } }"
    )
    return _answers(["php", "-r", program], pairs)


# Maven 3 and 4 differ on a word that a dot and a number follow (docs/decisions/0011).
_WORD_DOT_NUMBER = re.compile(r"[A-Za-z]\.[0-9]")


def _by_maven(pairs: list[Pair]) -> list[int]:
    """Maven's own class compares its arguments in turn: every second comparison is a pair's.

    The class is Maven 3's: what Maven 4 orders otherwise is not asked.
    """
    jar = Path("/usr/share/java/maven3-artifact.jar")
    if not jar.exists() or shutil.which("java") is None:
        pytest.skip("Maven is absent (Debian packages: libmaven3-core-java, default-jre-headless)")
    name = "org.apache.maven.artifact.versioning.ComparableVersion"
    answers: dict[Pair, int] = {}
    unique_pairs = sorted(set(pairs))
    for start in range(0, len(unique_pairs), 2000):
        some = unique_pairs[start : start + 2000]
        command = ["java", "-XX:TieredStopAtLevel=1", "-cp", str(jar), name]
        command += [version for pair in some for version in pair]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        signs = re.findall(r"^ +\S+ (<|>|==) \S+$", output, re.MULTILINE)[::2]
        assert len(signs) == len(some)
        answers |= {
            pair: {"<": -1, "==": 0, ">": 1}[sign] for pair, sign in zip(some, signs, strict=True)
        }
    return [
        _REFUSED if any(map(_WORD_DOT_NUMBER.search, pair)) else answers[pair] for pair in pairs
    ]


TOOLS: dict[str, Callable[[list[Pair]], list[int]]] = {
    "gem": _by_ruby,
    "semver": _by_npm,
    "composer": _by_composer,
}


@pytest.mark.parametrize("scheme", TOOLS)
def test_a_languages_own_tool_agrees_on_generated_pairs(scheme: str) -> None:
    assert _disagreements(scheme, generated(scheme), TOOLS[scheme]) == []


@pytest.mark.conformance
@pytest.mark.parametrize("scheme", [*TOOLS, "maven"])
def test_a_languages_own_tool_agrees_on_real_pairs(shared_data: Path, scheme: str) -> None:
    oracle = TOOLS.get(scheme, _by_maven)
    assert _disagreements(scheme, real(shared_data, scheme), oracle) == []


def _by_dpkg_itself(pairs: list[Pair]) -> list[int]:
    """The program proper, which answers one question a process."""
    program = (
        "while read -r l r; do if dpkg --compare-versions $l lt $r; then echo -1;"
        " elif dpkg --compare-versions $l eq $r; then echo 0; else echo 1; fi; done"
    )
    return _answers(["bash", "-c", program], pairs)


def test_dpkg_itself_agrees_on_some_generated_pairs() -> None:
    assert _disagreements("dpkg", generated("dpkg")[:5000], _by_dpkg_itself) == []


@pytest.mark.long
@pytest.mark.timeout(3600)  # two processes a pair
def test_dpkg_itself_agrees_on_all_generated_pairs() -> None:
    assert _disagreements("dpkg", generated("dpkg"), _by_dpkg_itself) == []


@pytest.mark.long
@pytest.mark.timeout(3600)  # two processes a pair
@pytest.mark.conformance
def test_dpkg_itself_agrees_on_all_real_pairs(shared_data: Path) -> None:
    assert _disagreements("dpkg", real(shared_data, "dpkg"), _by_dpkg_itself) == []


_FOUR_NUMBERS = re.compile(r"v?[0-9]+\.[0-9]+\.[0-9]+\.")
ORACLES = {"dpkg": _by_dpkg, "rpm": _by_rpm, "pep440": _by_packaging, **TOOLS}


@pytest.mark.parametrize("scheme", ORACLES)
def test_the_oracles_agree_on_mutated_pairs(scheme: str) -> None:
    pairs = mutated(scheme)
    if scheme == "rpm":
        pairs = [(f"{left}-1", f"{right}-1") for left, right in pairs]
    if scheme == "pep440":
        pairs = [pair for pair in pairs if all(map(_is_pep440, pair))]
    if scheme == "semver":  # of `1.2.30.4`, npm takes `1.2.3` and a pre-release `0.4`
        pairs = [pair for pair in pairs if not any(map(_FOUR_NUMBERS.match, pair))]
    assert _disagreements(scheme, pairs, ORACLES[scheme], valid=0.1) == []


def _is_pep440(version: str) -> bool:
    try:
        Version(version)
    except InvalidVersion:
        return False
    return True
