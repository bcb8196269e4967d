"""Listening ports of configuration files: real lines, and hostile text."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sidelight.inventory.listeners import parsers
from sidelight.inventory.listeners.extractors import LISTENER_EXTRACTORS
from sidelight.inventory.listeners.parsers import MAX_LISTENERS, nginx
from sidelight.inventory.protocol import Machine
from sidelight.model import ConfiguredListener, OperatingSystem, in_effect
from tests.fakes.memory_file import MemoryFile

ALL = (
    parsers.sshd, parsers.nginx, parsers.apache, parsers.systemd_socket, parsers.redis,
    parsers.postgresql, parsers.mysql,
)  # fmt: skip


def ports(found: list[ConfiguredListener]) -> list[tuple[str, int, str, int]]:
    return [(item.protocol, item.port, item.address, item.line) for item in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# Port 2222\n", [("TCP", 22, "", 0)]),
        ("Port 2222\nport 2200\n", [("TCP", 2222, "", 1), ("TCP", 2200, "", 2)]),
        ("ListenAddress 10.0.0.5\n", [("TCP", 22, "10.0.0.5", 1)]),
        ("ListenAddress [::1]:2022\n", [("TCP", 2022, "::1", 1)]),
        ("ListenAddress 0.0.0.0\nPort 2222\n", [("TCP", 2222, "", 1)]),
        ("Port=2222\n", [("TCP", 2222, "", 1)]),
        ("Match User git\nPort 99\n", [("TCP", 22, "", 0)]),
        ("Port 70000\nPort x\n", [("TCP", 22, "", 0)]),
    ],
)
def test_sshd(text: str, expected: list[tuple[str, int, str, int]]) -> None:
    assert ports(parsers.sshd(text, "/etc/ssh/sshd_config")) == expected


def test_a_drop_in_of_sshd_without_a_port_is_no_listener() -> None:
    assert parsers.sshd("PasswordAuthentication no\n", "/etc/ssh/sshd_config.d/50.conf") == []


def test_a_port_of_a_file_replaces_the_services_default() -> None:
    main = parsers.sshd("", "/etc/ssh/sshd_config")
    drop_in = parsers.sshd("Port 2222\n", "/etc/ssh/sshd_config.d/50.conf")
    assert [item.port for item in in_effect((*main, *drop_in))] == [2222]


def test_nginx() -> None:
    text = """http {
  server { listen 80 default_server; listen [::]:80; server_name x; }
  # listen 81;
  server { listen 127.0.0.1:8080; listen unix:/run/x.sock; listen 443 ssl; listen 443 quic; }
  server { listen localhost; }
}"""
    assert ports(parsers.nginx(text, "/etc/nginx/nginx.conf")) == [
        ("TCP", 80, "", 2), ("TCP", 80, "", 2), ("TCP", 8080, "127.0.0.1", 4), ("TCP", 443, "", 4),
        ("UDP", 443, "", 4), ("TCP", 80, "localhost", 5),
    ]  # fmt: skip


def test_apache() -> None:
    text = "Listen 80\n<IfModule ssl_module>\n\tListen 443 https\n</IfModule>\n#Listen 81\n"
    assert ports(parsers.apache(text, "/etc/apache2/ports.conf")) == [
        ("TCP", 80, "", 1), ("TCP", 443, "", 3),
    ]  # fmt: skip


def test_systemd_sockets() -> None:
    text = "[Socket]\nListenStream=/run/x\nListenStream=9090\nListenDatagram=[::]:514\n"
    found = parsers.systemd_socket(text, "/etc/systemd/system/sockets.target.wants/cockpit.socket")
    assert ports(found) == [("TCP", 9090, "", 3), ("UDP", 514, "", 4)]
    assert {item.service for item in found} == {"cockpit"}
    reset = "ListenStream=22\nListenStream=\nListenStream=2222\n"
    again = parsers.systemd_socket(reset, "ssh.socket")
    assert ports(again) == [("TCP", 2222, "", 3)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [("TCP", 6379, "", 0)]),
        ("bind 127.0.0.1 -::1\nport 6379\n",
         [("TCP", 6379, "127.0.0.1", 2), ("TCP", 6379, "::1", 2)]),
        ("port 0\n", []),
        ("port 0\ntls-port 6380\nbind * -::*\n", [("TCP", 6380, "", 2), ("TCP", 6380, "::*", 2)]),
    ],
)  # fmt: skip
def test_redis(text: str, expected: list[tuple[str, int, str, int]]) -> None:
    assert ports(parsers.redis(text, "/etc/redis/redis.conf")) == expected


def test_postgresql() -> None:
    default = parsers.postgresql("#port = 5432\n", "/etc/postgresql/17/main/postgresql.conf")
    assert ports(default) == [("TCP", 5432, "localhost", 0)]
    assert default[0].is_local
    text = "listen_addresses = '*'  # what IP address(es)\nport = 5433\n"
    assert ports(parsers.postgresql(text, "x")) == [("TCP", 5433, "", 2)]


def test_mysql() -> None:
    text = "[client]\nport = 1\n[mysqld]\nbind-address = 127.0.0.1\n#port=3306\n"
    assert ports(parsers.mysql(text, "x")) == [("TCP", 3306, "127.0.0.1", 4)]
    assert parsers.mysql("[client]\nport = 3306\n", "x") == []
    assert parsers.mysql("[mysqld]\nskip-networking\n", "x") == []
    assert ports(parsers.mysql("[mariadb-10.6]\nport=3307\n", "x")) == [("TCP", 3307, "", 2)]


_WORDS = st.sampled_from(
    ["Port", "ListenAddress", "listen", "Listen", "ListenStream=", "port", "bind", "=", "[::]:80",
     "[mysqld]", "bind-address", "'*'", "70000", "80", "#", ";", "{", "[", "Match", "\x00", "é"]
)  # fmt: skip
_TEXTS = st.lists(st.lists(_WORDS, max_size=5).map(" ".join), max_size=30).map("\n".join)


@given(_TEXTS | st.text(max_size=500))
@example("=")
@example("= = =")
@example("port\nlisten\nbind\ntls-port\nListenAddress")
def test_no_text_raises_and_every_port_is_one(text: str) -> None:
    for parse in ALL:
        for item in parse(text, "/etc/ssh/sshd_config"):
            assert 0 < item.port < 65536
            assert len(item.address) <= 253


@pytest.mark.parametrize(
    "text",
    [
        "listen 80;" * 300_000,
        "Port 22\n" * 300_000,
        "ListenAddress " + "[" * 900_000,
        "\n".join(f"Port {port}\nListenAddress 10.0.0.1" for port in range(1, 20_000)),
        "bind " + "1.1.1.1 " * 200_000 + "\n" + "tls-port 1\n" * 100_000,
        "ListenStream=80\n" * 30_000 + "ListenDatagram=\n" * 30_000,
    ],
)
@pytest.mark.slow
def test_a_large_file_creates_a_bounded_number_of_listeners(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    created = Counter[str]()

    def counted(  # noqa: PLR0917 - the class's own fields
        service: str, protocol: str, port: int, address: str, path: str, line: int
    ) -> ConfiguredListener:
        created[service] += 1
        return ConfiguredListener(service, protocol, port, address, path, line)

    monkeypatch.setattr(parsers, "ConfiguredListener", counted)
    for parse in ALL:
        assert len(parse(text, "/etc/ssh/sshd_config")) <= MAX_LISTENERS
    assert all(number <= MAX_LISTENERS**2 for number in created.values())


def test_lines_far_down_and_far_right_are_read() -> None:
    text = "#\n" * 100_000 + "server {" + " " * 10_000 + "listen 8443; }"
    assert [item.port for item in nginx(text, "/etc/nginx/nginx.conf")] == [8443]


def test_a_file_of_more_ports_than_are_listed_is_a_problem() -> None:
    (extractor,) = (one for one in LISTENER_EXTRACTORS if one.name == "listeners/apache")
    for ports, problems in ((MAX_LISTENERS - 1, 0), (MAX_LISTENERS + 1, 1)):
        text = "\n".join(f"Listen {1 + port}" for port in range(ports)).encode()
        file = MemoryFile(text, "etc/apache2/ports.conf")
        found = extractor.extract(file, Machine(OperatingSystem()))
        assert len(found.problems) == problems


def test_every_extractor_has_a_name_and_wants_files() -> None:
    names = [extractor.name for extractor in LISTENER_EXTRACTORS]
    assert len(set(names)) == len(names)
    for extractor in LISTENER_EXTRACTORS:
        assert extractor.name.startswith("listeners/")
        wants = extractor.wants
        assert wants.paths or wants.directories or wants.names
