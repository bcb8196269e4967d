"""What packages of dpkg require, beside what APT says of this machine's own packages."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sidelight.filesystems.machine.tree import MachineTree
from sidelight.inventory.collect import collect
from sidelight.inventory.os.dpkg import parse_status
from sidelight.model import OperatingSystem
from tests.fakes.memory_filesystem import MemoryFilesystem

if TYPE_CHECKING:
    from sidelight.inventory.protocol import Extraction

STATUS = Path("/var/lib/dpkg/status")
DEBIAN = OperatingSystem("debian", "12")


def stanza(name: str, arch: str = "amd64", **fields: str) -> str:
    usual = {
        "Package": name,
        "Status": "install ok installed",
        "Architecture": arch,
        "Version": "1",
    }
    members = usual | {key.replace("_", "-"): value for key, value in fields.items()}
    return "".join(f"{key}: {value}\n" for key, value in members.items()) + "\n"


def edges(found: Extraction) -> dict[str, list[str]]:
    names = [f"{item.name}:{item.arch}" for item in found.packages]
    return {
        names[own]: [names[other] for other in others] for own, others in found.requires.items()
    }


def of(*stanzas: str) -> dict[str, list[str]]:
    return edges(parse_status("".join(stanzas).encode(), "/x", DEBIAN))


def test_depends_and_pre_depends_lead_to_what_is_installed() -> None:
    assert of(
        stanza("bash", Depends="base-files (>= 2.1.12), absent", Pre_Depends="libc6 (>= 2.36)"),
        stanza("base-files", Recommends="bash", Suggests="bash"),
        stanza("libc6"),
    ) == {
        "bash:amd64": ["base-files:amd64", "libc6:amd64"],
        "base-files:amd64": [],
        "libc6:amd64": [],
    }


def test_of_alternatives_those_that_are_installed_count_and_provided_names_too() -> None:
    found = of(
        stanza("cron", Depends="exim4|mail-transport-agent , debconf (>= 0.5) | debconf-2.0"),
        stanza("postfix", Provides="default-mta, mail-transport-agent (= 1)", Depends="cron"),
        stanza("cdebconf", Provides="debconf-2.0"),
    )
    assert found["cron:amd64"] == ["postfix:amd64", "cdebconf:amd64"]
    assert found["postfix:amd64"] == ["cron:amd64"]


def test_a_package_that_was_removed_is_no_dependency() -> None:
    removed = stanza("libold", Status="deinstall ok config-files")
    assert of(stanza("a", Depends="libold"), removed) == {"a:amd64": []}


def test_a_later_stanza_replaces_what_an_earlier_one_requires() -> None:
    found = of(stanza("a", Depends="b"), stanza("b"), stanza("c"), stanza("a", Depends="c"))
    assert found["a:amd64"] == ["c:amd64"]


def test_of_several_architectures_the_package_s_own_counts() -> None:
    found = of(
        stanza("libc6"), stanza("libc6", "i386"), stanza("libssl3", "i386", Depends="libc6"),
        stanza("curl", Depends="libc6, libssl3:i386, tool, python3:any"),
        stanza("tool", "i386"), stanza("data", "all", Depends="libc6"), stanza("python3"),
        stanza("wine", "i386", Depends="data, python3:any"), stanza("dpkg"),
    )  # fmt: skip
    assert found["libssl3:i386"] == ["libc6:i386"]
    assert found["curl:amd64"] == ["libc6:amd64", "libssl3:i386", "tool:i386", "python3:amd64"]
    assert found["data:all"] == ["libc6:amd64"]
    assert found["wine:i386"] == ["data:all", "python3:amd64"]


@pytest.mark.parametrize(
    "text", [", , ,", "|", "(>= 1)", "a (", "<!nocheck>", "[amd64]", "a:", ":"]
)
def test_a_relation_that_is_none_is_no_dependency(text: str) -> None:
    assert of(stanza("b", Depends=text), stanza("c"))["b:amd64"] == []


def test_packages_of_status_d_require_each_other_also_over_folded_lines() -> None:
    files: dict[str, object] = {
        "base": stanza("base-files").encode(),
        "openssl": b"Package: openssl\nVersion: 3\nDepends: libc6,\n libssl3\n",
        "libssl3": b"Package: libssl3\nVersion: 3\nArchitecture: amd64\nDepends: libc6\n",
    }
    machine = {"var": {"lib": {"dpkg": {"status.d": files}}},
               "etc": {"os-release": b'ID=debian\nVERSION_ID="12"\n'}}  # fmt: skip
    found = collect(MachineTree(MemoryFilesystem(machine)))
    assert [item.name for item in found.packages] == ["base-files", "libssl3", "openssl"]
    assert found.dependencies == [(), (), (1,)]


def test_a_stanza_of_absurdly_many_names_costs_its_dependencies_alone() -> None:
    many = ", ".join(f"p{number}" for number in range(20_000))
    found = parse_status((stanza("a", Depends=many) + stanza("b")).encode(), "/x", DEBIAN)
    assert [item.name for item in found.packages] == ["a", "b"]
    assert found.requires == {}
    assert "dependencies of this file are left out" in found.problems[0].what


def _of_apt(names: list[str], folder: Path) -> dict[str, set[str]]:
    """What APT says that packages require: of virtual packages those that provide them."""
    found: dict[str, set[str]] = {}
    own: set[str] = set()
    # Without lists APT knows the installed versions alone.
    options = ("-o", f"Dir::State::lists={folder}/", "-o", f"Dir::Cache={folder}/")
    text = subprocess.run(
        ["apt-cache", *options, "depends", "--important", *names],
        capture_output=True, check=True, text=True, env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
    ).stdout  # fmt: skip
    for line in text.splitlines():
        if not line.startswith(" "):
            own = found.setdefault(line.strip(), set())
        elif match := re.fullmatch(r" [ |](?:Pre)?Depends: ([^<\s]+)", line):
            own.add(match[1])
        elif line.startswith("    "):
            own.add(line.strip())
    return found


@pytest.mark.skipif(
    shutil.which("apt-cache") is None or not STATUS.exists(), reason="needs apt-cache (apt: apt)"
)
def test_this_machine_s_packages_require_what_apt_says(tmp_path: Path) -> None:
    found = parse_status(STATUS.read_bytes(), str(STATUS), DEBIAN)
    names = [item.name for item in found.packages]
    own = {
        names[number]: {names[other] for other in others}
        for number, others in found.requires.items()
    }
    assert len(own) == len(found.packages) > 50
    installed = set(names)
    assert own == {
        name: targets & installed - {name} for name, targets in _of_apt(names, tmp_path).items()
    }
