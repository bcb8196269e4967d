"""Sentinel's URLs, beside kombu's own reading of them."""

from __future__ import annotations

import pytest
from kombu.utils.url import parse_url

from sidelight.fleet.rate_limit.sentinel_url import HOST, PORT, parse


@pytest.mark.parametrize(
    "url",
    [
        "sentinel://host:26380/3", "sentinel://host", "sentinel://", "sentinel://:p%40ss@[::1]:1/0",
        "sentinel://us%2Fer:pass@host/1", "sentinel://host/0?ssl_cert_reqs=CERT_NONE",
        "sentinel://host/0?ssl_cert_reqs=required&ssl_check_hostname=False&ssl_ca_certs=/etc/ca",
        "sentinel://h%6Fst:26379/%32",
    ],
)  # fmt: skip
def test_it_is_read_as_kombu_reads_it(url: str) -> None:
    expected = parse_url(url)
    parsed = parse(url)
    assert (parsed.host, parsed.port) == (expected["hostname"] or HOST, expected["port"] or PORT)
    assert (parsed.user, parsed.password) == (expected["userid"], expected["password"])
    assert parsed.database == int(expected["virtual_host"] or 0)
    assert parsed.tls == expected.get("ssl", {})
