"""Parsers of services' configurations: text in, listeners out. PURE, and linear in the text.

A parser answers with MAX_LISTENERS listeners at most, and makes few more on the way. Only what
names a port or an address is read. An unknown line means nothing.
Sources: sshd_config(5), nginx's ngx_http_core_module (listen), Apache's mpm_common (Listen),
systemd.socket(5), redis.conf, PostgreSQL's "Connections and Authentication", MySQL's option files.
"""

from __future__ import annotations

from itertools import islice
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from sidelight.inventory.listeners.addresses import address_of, port_of, split
from sidelight.model import ConfiguredListener

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_LISTENERS: Final = 200  # of one file
_SECTIONS_OF_SERVERS: Final = ("mysqld", "mariadb", "mariadbd", "server")


def sshd(text: str, path: str) -> list[ConfiguredListener]:
    """`Port` and `ListenAddress`, up to the first Match block; 22 if the main file has none."""
    ports: list[tuple[int, int]] = []
    addresses: list[tuple[int, str, int | None]] = []
    for number, line in _lines(text):
        name, value = _directive(line.replace("=", " ", 1))
        if name == "match":
            break
        if not value:
            continue
        if name == "port" and (port := port_of(value)) is not None:
            ports.append((number, port))
        elif name == "listenaddress":
            host, own_port = split(value)
            addresses.append((number, host, own_port))
    if not ports and path.endswith("/sshd_config"):
        ports.append((0, 22))
    del addresses[MAX_LISTENERS:]
    found = [
        ConfiguredListener("ssh", "TCP", own_port, host, path, number)
        for number, host, own_port in addresses
        if own_port is not None
    ]
    bare = [(number, host) for number, host, own_port in addresses if own_port is None]
    for number, port in ports[:MAX_LISTENERS]:
        if bare:
            found += [ConfiguredListener("ssh", "TCP", port, host, path, at) for at, host in bare]
        elif not found or number:
            found.append(ConfiguredListener("ssh", "TCP", port, "", path, number))
    return found[:MAX_LISTENERS]


def nginx(text: str, path: str) -> list[ConfiguredListener]:
    """`listen` in any block; `quic` is UDP. Sockets of the filesystem are none."""
    return list(islice(_nginx(text, path), MAX_LISTENERS))


def _nginx(text: str, path: str) -> Iterator[ConfiguredListener]:
    for number, line in _lines(text):
        for statement in line.replace("{", ";").replace("}", ";").split(";"):
            words = statement.split()
            if len(words) < 2 or words[0] != "listen" or words[1].startswith("unix:"):
                continue
            host, port = split(words[1])
            protocol = "UDP" if {"quic", "udp"} & set(words[2:]) else "TCP"
            yield ConfiguredListener("nginx", protocol, port or 80, host, path, number)


def apache(text: str, path: str) -> list[ConfiguredListener]:
    """`Listen [address:]port [protocol]`."""
    return list(islice(_apache(text, path), MAX_LISTENERS))


def _apache(text: str, path: str) -> Iterator[ConfiguredListener]:
    for number, line in _lines(text):
        name, value = _directive(line)
        if name == "listen":
            host, port = split(value)
            if port is not None:
                yield ConfiguredListener("apache", "TCP", port, host, path, number)


def systemd_socket(text: str, path: str) -> list[ConfiguredListener]:
    """`ListenStream=` and `ListenDatagram=` of a socket unit; an empty value resets the list."""
    service = path.rpartition("/")[2].removesuffix(".socket")
    if service == "sshd":
        service = "ssh"
    protocols = {"ListenStream": "TCP", "ListenDatagram": "UDP"}
    found: dict[str, list[ConfiguredListener]] = {"TCP": [], "UDP": []}
    for number, line in _lines(text, comments="#;"):
        key, equals, value = line.partition("=")
        protocol = protocols.get(key.strip())
        value = value.strip()
        if protocol is None or not equals:
            continue
        if not value:
            found[protocol] = []
        elif not value.startswith(("/", "@", "vsock:", "%")):
            host, port = split(value)
            if port is not None and len(found[protocol]) < MAX_LISTENERS:
                found[protocol].append(
                    ConfiguredListener(service, protocol, port, host, path, number)
                )
    return sorted(found["TCP"] + found["UDP"], key=attrgetter("line"))[:MAX_LISTENERS]


def redis(text: str, path: str) -> list[ConfiguredListener]:
    """`port`, `tls-port` and `bind`; 6379 on every address by default. Port 0 is off."""
    ports: list[tuple[int, int]] = [(0, 6379)]
    hosts: list[tuple[int, str]] = []
    for number, line in _lines(text):
        name, value = _directive(line)
        if name == "port" and value:
            ports = [(number, port)] if (port := port_of(value)) is not None else []
        elif name == "tls-port" and (port := port_of(value)) is not None:
            ports.append((number, port))
        elif name == "bind":
            bound = line.split()[1:]
            hosts = [(number, address_of(word.removeprefix("-"))) for word in bound]
    return [
        ConfiguredListener("redis", "TCP", port, host, path, number or at)
        for number, port in ports[:MAX_LISTENERS]
        for at, host in hosts[:MAX_LISTENERS] or [(0, "")]
    ][:MAX_LISTENERS]


def postgresql(text: str, path: str) -> list[ConfiguredListener]:
    """`port` and `listen_addresses`; 5432 on localhost by default."""
    port, hosts, line_of_port, line_of_hosts = 5432, ["localhost"], 0, 0
    for number, line in _lines(text):
        key, value = _assignment(line)
        if key == "port" and (own_port := port_of(value)) is not None:
            port, line_of_port = own_port, number
        elif key == "listen_addresses":
            hosts, line_of_hosts = [item for item in value.split(",") if item.strip()], number
    return [
        ConfiguredListener(
            "postgresql", "TCP", port, address_of(host), path, line_of_port or line_of_hosts
        )
        for host in hosts[:MAX_LISTENERS]
    ]


def mysql(text: str, path: str) -> list[ConfiguredListener]:
    """`port` and `bind-address` of the server's sections; 3306 on every address by default."""
    section, is_server, is_off = "", False, False
    port, line_of_port, hosts = 3306, 0, [(0, "")]
    for number, line in _lines(text, comments="#;"):
        if line.startswith("["):
            section = line.strip("[]").lower()
            is_server |= section.startswith(_SECTIONS_OF_SERVERS)
            continue
        if not section.startswith(_SECTIONS_OF_SERVERS):
            continue
        key, value = _assignment(line)
        key = key.replace("_", "-")
        if key == "port" and (own_port := port_of(value)) is not None:
            port, line_of_port = own_port, number
        elif key == "bind-address":
            hosts = [(number, address_of(item)) for item in value.split(",")[:MAX_LISTENERS]]
        elif key == "skip-networking":
            is_off = value.lower() not in ("0", "off", "false")
    if not is_server or is_off:
        return []
    return [
        ConfiguredListener("mysql", "TCP", port, host, path, line_of_port or at)
        for at, host in hosts
    ]


def _directive(line: str) -> tuple[str, str]:
    """Return the name in small letters and the first value of `Name value …`; "" for none.

    A line may be blank to `split` although it is not to `strip`, once a sign is replaced in it.
    """
    name, value = [*line.split(maxsplit=2), "", ""][:2]
    return name.lower(), value


def _assignment(line: str) -> tuple[str, str]:
    """Return the key in small letters and the value of `key = 'value' # comment`."""
    key, equals, value = line.partition("=")
    if not equals:
        key, _, value = line.partition(" ")
    value = value.partition("#")[0].strip().strip("'\"")
    return key.strip().lower(), value


def _lines(text: str, comments: str = "#") -> Iterator[tuple[int, str]]:
    """Yield the lines that say something, with their number from 1."""
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip()
        if stripped and stripped[0] not in comments:
            yield number, stripped.partition(" #")[0].rstrip() if "#" in comments else stripped
