"""How severe an open port is: Inspector's table of services, by the edge that reaches them.

Ports: Inspector Classic's guide. Ratings: Inspector's page "Understanding severity levels"; those
of SSH and HTTP are confirmed by published findings. A port of no service is INFORMATIONAL.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

from sidelight.model.advisories import Severity
from sidelight.reachability.results import EdgeKind


class ServiceRating(NamedTuple):
    """A service's ports, and its severity from the internet and over other edges."""

    name: str
    tcp: frozenset[int]
    udp: frozenset[int]
    internet: Severity
    other: Severity


def _rated(
    name: str,
    tcp: tuple[int, ...],
    udp: tuple[int, ...] = (),
    internet: Severity = Severity.MEDIUM,
    other: Severity = Severity.INFORMATIONAL,
) -> ServiceRating:
    return ServiceRating(name, frozenset(tcp), frozenset(udp), internet, other)


_HIGH: Final = (Severity.HIGH, Severity.MEDIUM)
_LOGIN: Final = (Severity.MEDIUM, Severity.LOW)
_WEB: Final = (Severity.LOW, Severity.INFORMATIONAL)

SERVICES: Final = (
    _rated("DHCP", (67, 68, 546, 547), (67, 68, 546, 547)),
    _rated("Elasticsearch", (9200, 9300)),
    _rated("FTP", (21,), (21,), *_HIGH),
    _rated("Global catalog LDAP", (3268, 3269)),
    _rated("HTTP", (80,), (80,), *_WEB),
    _rated("HTTPS", (443,), (443,), *_WEB),
    _rated("Kerberos", (88, 464, 543, 544, 749, 751), (88, 464, 749, 750, 751, 752)),
    _rated("LDAP", (389, 636), (389,)),
    _rated("MongoDB", (27017, 27018, 27019, 28017)),
    _rated("MySQL", (3306,)),
    _rated("NetBIOS", (137, 139), (137, 138)),
    _rated("NFS", (111, 1110, 2049, 4045), (111, 1110, 2049, 4045)),
    _rated("Oracle", (1521, 1630)),
    _rated("PostgreSQL", (5432,)),
    _rated("Print services", (515,), (), *_HIGH),
    _rated("RDP", (3389,), (3389,), *_LOGIN),
    _rated("RPC", (111, 135, 530), (111, 135, 530)),
    _rated("SMB", (445,), (445,)),
    _rated("SQL Server", (1433,), (1434,)),
    _rated("SSH", (22,), (22,), *_LOGIN),
    _rated("Syslog", (601,), (514,)),
    _rated("Telnet", (23,), (23,), *_HIGH),
    _rated("WINS", (42, 1512), (42, 1512)),
)


@lru_cache(maxsize=1 << 14)
def severity(protocol: str, first: int, last: int, edge: EdgeKind) -> Severity:
    """The severity of a range of `TCP` or `UDP` ports: that of its most severe service."""
    found = Severity.INFORMATIONAL
    for service in SERVICES:
        ports = service.tcp if protocol == "TCP" else service.udp
        if any(first <= port <= last for port in ports):
            rating = service.internet if edge == EdgeKind.INTERNET_GATEWAY else service.other
            found = max(found, rating, key=lambda rated: rated.rank)
    return found
