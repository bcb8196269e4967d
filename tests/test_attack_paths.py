"""Attack paths join an open port, a listener and a vulnerable package, each with its source."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from sidelight.attack_paths import attack_paths, runs
from sidelight.model import (
    ConfiguredListener,
    Finding,
    FindingRow,
    FindingStatus,
    NetworkFinding,
    Package,
    Severity,
)
from tests.fixtures.network_findings import SSH, port

NOW = datetime(2026, 11, 29, tzinfo=UTC)
SSHD = ConfiguredListener("ssh", "TCP", 22, "", "/etc/ssh/sshd_config", 5)


def row(number: int, finding: Finding | NetworkFinding) -> FindingRow:
    place = ("123456789012", "eu-west-1", "i-1")
    return FindingRow(number, *place, FindingStatus.ACTIVE, NOW, NOW, finding, NOW)


def vulnerable(name: str, vulnerability: str = "CVE-2026-1", score: float = 9.8) -> Finding:
    package = Package("deb", name, "1", "/var/lib/dpkg/status", f"pkg:deb/debian/{name}@1")
    return Finding(vulnerability, Severity.HIGH, package, "2", ("DSA-1",), score=score)


def test_an_open_port_a_listener_and_a_vulnerable_package_are_an_attack_path() -> None:
    network, server = row(1, SSH), row(2, vulnerable("openssh-server"))
    (path,) = attack_paths([network, server], [SSHD])
    assert (path.network, path.package, path.listener) == (network, server, SSHD)


@pytest.mark.parametrize(
    ("network", "listener", "package"),
    [
        (port(80), SSHD, "openssh-server"),
        (replace(SSH, protocol="UDP"), SSHD, "openssh-server"),
        (SSH, replace(SSHD, address="127.0.0.1"), "openssh-server"),
        (SSH, replace(SSHD, port=2222), "openssh-server"),
        (SSH, SSHD, "openssh-client"),
        (SSH, SSHD, "nginx"),
    ],
)
def test_without_one_of_the_three_there_is_none(
    network: NetworkFinding, listener: ConfiguredListener, package: str
) -> None:
    assert not attack_paths([row(1, network), row(2, vulnerable(package))], [listener])


def test_a_range_of_ports_opens_the_listeners_in_it() -> None:
    wide = replace(SSH, port_begin=1, port_end=1024)
    assert len(attack_paths([row(1, wide), row(2, vulnerable("openssh-server"))], [SSHD])) == 1


def test_the_worst_come_first() -> None:
    rows = [
        row(1, SSH),
        row(2, vulnerable("openssh-server", "CVE-2026-1", 5.0)),
        row(3, vulnerable("openssh-server", "CVE-2026-2", 9.0)),
    ]
    found = [path.vulnerable.vulnerability for path in attack_paths(rows, [SSHD])]
    assert found == ["CVE-2026-2", "CVE-2026-1"]


@pytest.mark.parametrize(
    ("service", "package", "is_program"),
    [
        ("apache", "apache2-bin", True),
        ("apache", "libapache2-mod-php8.2", True),
        ("postgresql", "postgresql-17", True),
        ("postgresql", "postgresql15-server", True),
        ("postgresql", "postgresql-client-17", False),
        ("mysql", "mariadb-server-10.6", True),
        ("mysql", "mysql-client", False),
        ("redis", "valkey", True),
        ("cockpit", "cockpit", True),
        ("cockpit", "nginx", False),
    ],
)
def test_the_programs_of_services(service: str, package: str, *, is_program: bool) -> None:
    assert runs(service, vulnerable(package)) is is_program
