"""The sources: their names and addresses, and the systems and languages that they cover."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sidelight.advisories import ecosystems
from sidelight.advisories.feeds.formats import ubuntu_cves
from sidelight.download import SOURCES, chosen
from sidelight.errors import UsageError
from sidelight.model import OperatingSystem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sidelight.download.sources import Source


pytestmark = pytest.mark.services


def test_every_release_of_ubuntu_whose_oval_is_fetched_can_be_read() -> None:
    files = [source.file.split(".") for source in SOURCES if source.format == "Ubuntu OVAL"]
    assert {name for _com, _ubuntu, name, *_rest in files} <= ubuntu_cves.CODENAMES.keys()


def test_sources_have_names_of_their_own_and_addresses_over_tls() -> None:
    assert len({source.name for source in SOURCES}) == len(SOURCES)
    for source in SOURCES:
        assert source.base.startswith("https://")
        assert source.licence
    with pytest.raises(UsageError, match="no such source: x"):
        chosen(["x"])
    usual: set[str] = {source.format for source in chosen([])}
    assert {"OSV", "updateinfo", "KEV", "EPSS", "endoflife.date", "Oracle OVAL"} <= usual


def _of_osv(sources: Iterable[Source]) -> set[str]:
    return {source.file.partition("/")[0] for source in sources if source.name.startswith("osv-")}


def test_every_language_of_an_inventory_has_a_usual_source() -> None:
    assert set(ecosystems.LANGUAGES.values()) <= _of_osv(chosen([]))


# Systems whose advisories come from their own publishers. SUSE Micro's are in SUSE's file; Photon
# OS has no feed that is read.
OWN_FEEDS = {"Amazon Linux", "Bottlerocket", "Fedora", "Oracle Linux", "Photon OS", "SUSE Micro"}


@pytest.mark.parametrize(
    "identity",
    [
        *("almalinux", "alpaquita", "alpine", "amzn", "azurelinux", "bottlerocket", "centos"),
        *("chainguard", "cleanstart", "debian", "echo", "fedora", "hardened-containers", "mageia"),
        *("mariner", "minimos", "ol", "openeuler", "opensuse-leap", "opensuse-tumbleweed"),
        *("photon", "rhel", "rocky", "sl-micro", "sle-micro", "sled", "sles", "ubuntu", "wolfi"),
    ],
)
def test_every_known_system_has_a_source(identity: str) -> None:
    name = ecosystems.of_machine(OperatingSystem(id=identity, version_id="9.1")).partition(":")[0]
    assert name in _of_osv(SOURCES) | OWN_FEEDS
