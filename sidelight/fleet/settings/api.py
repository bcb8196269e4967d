"""The settings of the API and its server (docs/api.md)."""

from __future__ import annotations

from dataclasses import dataclass

from sidelight.fleet.settings.definition import Process, setting

_KEYS = (Process.FLEET, Process.SERVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiSettings:
    """Authentication, limits and TLS of `sidelight serve` (docs/api.md)."""

    seal: str = setting(
        "SIDELIGHT_ACCESS_SEAL", "", unit="base64", readers=_KEYS,
        meaning="The key that seals the secrets of access keys in the store: 32 bytes, as"
        " `openssl rand -base64 32` prints them, or `file:PATH` of a file with them. Without it no"
        " operation of the API is served, and the server listens on loopback only",
    )  # fmt: skip
    skew_seconds: float = setting(
        "SIDELIGHT_API_SKEW_SECONDS", 300.0, unit="seconds", readers=(Process.SERVE,),
        positive=True, most=3600,
        meaning="How far a signature's time may be from the server's",
    )  # fmt: skip
    regions: str = setting(
        "SIDELIGHT_API_REGIONS", "", unit="Regions", readers=(Process.SERVE,),
        meaning="The Regions for which signatures are accepted, separated by commas; empty: all",
    )  # fmt: skip
    hosts: str = setting(
        "SIDELIGHT_API_HOSTS", "", unit="names", readers=(Process.SERVE,),
        meaning="Host names that are served on loopback, separated by commas: those of a proxy in"
        " front. Names of this machine always are",
    )  # fmt: skip
    calls_per_second: float = setting(
        "SIDELIGHT_API_CALLS_PER_SECOND", 20.0, unit="calls", readers=(Process.SERVE,),
        positive=True,
        meaning="The rate limit of a principal, in each process of the server",
    )  # fmt: skip
    burst: int = setting(
        "SIDELIGHT_API_BURST", 100, unit="calls", readers=(Process.SERVE,), positive=True,
        meaning="How many calls a principal may make at once before the rate limits it",
    )  # fmt: skip
    threads: int = setting(
        "SIDELIGHT_API_THREADS", 8, unit="threads", readers=(Process.SERVE,), positive=True,
        most=256,
        meaning="How many requests the server answers at once",
    )  # fmt: skip
    connections: int = setting(
        "SIDELIGHT_API_CONNECTIONS", 256, unit="connections", readers=(Process.SERVE,),
        positive=True, most=10_000,
        meaning="How many connections are open at once; further ones are closed",
    )  # fmt: skip
    request_seconds: float = setting(
        "SIDELIGHT_API_REQUEST_SECONDS", 30.0, unit="seconds", readers=(Process.SERVE,),
        positive=True,
        meaning="How long a request may take to arrive",
    )  # fmt: skip
    open_metrics: bool = setting(
        "SIDELIGHT_OPEN_METRICS", False, readers=(Process.SERVE,),
        meaning="Serve /metrics beyond loopback without authentication, for a scraper on a network"
        " of its own",
    )  # fmt: skip
    tls_certificate: str = setting(
        "SIDELIGHT_TLS_CERTIFICATE", "", unit="path", readers=(Process.SERVE,),
        meaning="The server's certificate and its chain (PEM): then it speaks TLS",
    )  # fmt: skip
    tls_key: str = setting(
        "SIDELIGHT_TLS_KEY", "", unit="path", readers=(Process.SERVE,),
        meaning="The certificate's private key (PEM)",
    )  # fmt: skip
    styleguide: bool = setting(
        "SIDELIGHT_CONSOLE_STYLEGUIDE", False, readers=(Process.SERVE,),
        meaning="Show the console's page of all its parts, /styleguide, to everyone who is signed"
        " in, not to administrators alone",
    )  # fmt: skip
    flower: str = setting(
        "SIDELIGHT_FLOWER_URL", "", unit="URL", readers=(Process.SERVE,),
        meaning="The address of Flower as browsers see it: the console's page of scans links to it",
    )  # fmt: skip
