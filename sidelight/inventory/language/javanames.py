"""What a Java archive's file name says: artefact, version and classifier.

Repositories name an archive `artifact-version[-classifier].jar`. Artefacts have numbers in their
names (`log4j-1.2-api`, `servlet-api-2.5`), versions have words and dashes (`1.0-beta-2`,
`3.4.0.Final-redhat-00001`, `1.0-20200101.120000-1`), so a name can be cut in several ways.
Source: Maven's repository layout, and the names on Maven Central.
"""

from __future__ import annotations

import re
from typing import Final

STEM_LIMIT: Final = 512  # characters
_CUTS_LIMIT: Final = 32  # dashes before a digit that are looked at

_CUT: Final = re.compile(r"-(?=v?[0-9])")
_VERSION: Final = re.compile(r"v?[0-9][A-Za-z0-9.+_~-]*")
# A word after which a number goes on the version: all others go on the name.
_QUALIFIER: Final = re.compile(
    r"alpha|beta|b|rc|cr|m|milestone|ga|sp|p|pre|preview|patch|build|rev|r|final|release|snapshot"
    r"|dev|ea|incubating|redhat|jbossorg|jboss|fuse|brew|atlassian|cdh|hdp|emr|amzn|hadoop|jre|jdk"
    r"|java|android|scala|sources|tests|v",
    re.IGNORECASE,
)
_TIMESTAMP: Final = re.compile(r"[0-9]{8}\.[0-9]{6}")
_DOTTED: Final = re.compile(r"v?[0-9]+\.[0-9].*")
_FULL: Final = re.compile(r"v?[0-9]+\.[0-9]+\.[0-9].*")
# What a repository puts behind the version: other files of the same artefact.
_CLASSIFIER: Final = re.compile(
    r"-(?:(?:test-)?sources|(?:test-)?javadoc|groovydoc|tests?|shaded|all|jar-with-dependencies"
    r"|with-dependencies|exec|boot|standalone|uber|fat|bin|dep|deps|nodeps|runner|jandex|site"
    r"|no_aop|classes|client|plain|original|obfuscated|natives?(?:-[A-Za-z0-9_]++)*"
    r"|(?:linux|osx|macos|mac|windows|win)(?:[-_][A-Za-z0-9]++)*)$"
)
# Words with which a name ends and no version does.
_NAME_WORD: Final = re.compile(r"-(?:api|spec|bridge|compat|adapter|common|support)$")
# Two names in one: `org.springframework.spring-web`.
_DOT: Final = re.compile(r"\.(?=[A-Za-z])")
_SPECIFIED: Final = re.compile(r"(.+)\.((?:javax|jakarta)\..+)")
_TOP_LEVEL: Final = re.compile(r"[a-z]{2,6}")


def stem_of(path: str) -> str:
    """The base name of a path without its suffix."""
    return path.rpartition("/")[2].rpartition(".")[0][:STEM_LIMIT]


def cuts(stem: str) -> list[tuple[str, str]]:
    """(artifact, version) of a file name, the likeliest first; the whole name and "" at the end."""
    stem = _bare(stem)
    found = [
        (stem[: match.start()], stem[match.end() :])
        for match in _CUT.finditer(stem)
        if match.start() and _VERSION.fullmatch(stem[match.end() :]) and not _NAME_WORD.search(stem)
    ][:_CUTS_LIMIT]
    if found:
        best = found[_best([version for _, version in found])]
        found.remove(best)
        found.insert(0, best)
    return [*found, (stem, "")]


def _bare(stem: str) -> str:
    """Without classifiers, as long as a version is before them."""
    while match := _CLASSIFIER.search(stem):
        if not _CUT.search(stem, 0, match.start() + 2):
            break
        stem = stem[: match.start()]
    return re.sub(r"-(?:(?:test-)?sources|(?:test-)?javadoc|tests)$", "", stem)


def _best(versions: list[str]) -> int:
    """The index of the cut whose version is one: each is the end of the one before."""
    at = 0
    for index in range(1, len(versions)):
        before = versions[at][: -len(versions[index]) - 1]
        words = [word for word in before.split("-") if not _VERSION.fullmatch(word)]
        named = any(not _QUALIFIER.fullmatch(_letters(word)) for word in words)
        if named and _DOTTED.fullmatch(versions[index]):
            at = index
        elif (
            not words
            and _FULL.fullmatch(versions[index])
            and not _FULL.fullmatch(before)
            and not _TIMESTAMP.match(versions[index])
        ):
            at = index  # `servlet-api-2.5-6.1.14`
    return at


def _letters(word: str) -> str:
    return word.rstrip("0123456789._")


def two_names(name: str) -> list[tuple[str, str]]:
    """The ways to read `group.artifact`, the longest group first.

    sbt's packager and Quarkus name archives so; an OSGi bundle's name looks alike and is whole.
    """
    if match := _SPECIFIED.fullmatch(name):
        return [(match[1], match[2])]
    if not _TOP_LEVEL.fullmatch(name.partition(".")[0]):
        return []
    found = [(name[: match.start()], name[match.end() :]) for match in _DOT.finditer(name)]
    return [(group, artifact) for group, artifact in reversed(found) if artifact]
