"""Attack paths: edge -> open port -> listening service -> vulnerable package. PURE.

Three kinds of evidence are joined, each with its source: a network finding (the rules that open the
port), a listener (file and line of a configuration), and a package finding (the file that names
the package). That a service is configured does not say that it runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sidelight.model import NetworkFinding, in_effect

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sidelight.model import ConfiguredListener, Finding, FindingRow

MOST_PATHS: Final = 10_000  # of one instance
# The packages that are a service's program: whole names, and beginnings of names.
_PROGRAMS: Final[dict[str, tuple[frozenset[str], tuple[str, ...]]]] = {
    "ssh": (frozenset({"openssh-server", "openssh", "dropbear", "dropbear-bin"}), ()),
    "nginx": (
        frozenset({"nginx", "nginx-core", "nginx-full", "nginx-light", "nginx-extras"}),
        ("nginx-mod-", "libnginx-mod-"),
    ),
    "apache": (
        frozenset({"apache2", "apache2-bin", "httpd", "httpd-core", "mod_ssl", "mod_http2"}),
        ("libapache2-mod-", "apache2-mod"),
    ),
    "redis": (frozenset({"redis", "redis-server", "valkey", "valkey-server"}), ()),
    "postgresql": (
        frozenset({"postgresql", "postgresql-server"}),
        tuple(f"postgresql{dash}{digit}" for dash in ("", "-") for digit in "123456789"),
    ),
    "mysql": (
        frozenset({"mysql", "mariadb", "mysql-community-server", "mysql-server"}),
        ("mysql-server-", "mariadb-server", "mariadb10", "mysql8"),
    ),
}


@dataclass(frozen=True, slots=True)
class AttackPath:
    """One way from an edge to a vulnerable package of an instance."""

    network: FindingRow
    listener: ConfiguredListener
    package: FindingRow

    @property
    def opening(self) -> NetworkFinding:
        """The network finding. Raises TypeError where it is of another type."""
        if not isinstance(self.network.finding, NetworkFinding):
            raise TypeError("not a network finding")
        return self.network.finding

    @property
    def vulnerable(self) -> Finding:
        """The package finding."""
        return self.package.package_finding


def attack_paths(
    rows: Iterable[FindingRow], listeners: Sequence[ConfiguredListener]
) -> list[AttackPath]:
    """Return the attack paths of one instance, the worst first, at most MOST_PATHS."""
    networks: list[FindingRow] = []
    packages: list[FindingRow] = []
    for row in rows:
        (networks if isinstance(row.finding, NetworkFinding) else packages).append(row)
    if not networks or not packages:
        return []
    found: list[AttackPath] = []
    for listener in in_effect(tuple(listeners)):
        if listener.is_local:
            continue
        programs = [row for row in packages if runs(listener.service, row.package_finding)]
        for network in _opening(networks, listener):
            found += [AttackPath(network, listener, program) for program in programs]
        if len(found) > MOST_PATHS:
            break
    return sorted(found[:MOST_PATHS], key=_worst_first)


def runs(service: str, finding: Finding) -> bool:
    """Whether a package is a service's program. An unknown service's is the one of its name."""
    name = finding.package.name
    programs = _PROGRAMS.get(service)
    if programs is None:
        return name == service
    names, beginnings = programs
    return name in names or name.startswith(beginnings)


def _opening(networks: Iterable[FindingRow], listener: ConfiguredListener) -> Iterator[FindingRow]:
    """Yield the network findings that open a listener's port.

    What goes through a load balancer's target at the listener's port counts as well.
    """
    for row in networks:
        finding = row.finding
        if (
            isinstance(finding, NetworkFinding)
            and finding.protocol == listener.protocol
            and finding.port_begin <= listener.port <= finding.port_end
        ):
            yield row


def _worst_first(path: AttackPath) -> tuple[object, ...]:
    finding = path.vulnerable
    return (
        not path.opening.anywhere,
        -(finding.score or 0.0),
        -finding.severity.rank,
        finding.vulnerability,
        path.listener.port,
        path.network.id,
        path.package.id,
    )
