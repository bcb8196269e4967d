"""Documents of `sidelight fleet plan`."""

from typing import TypedDict


class UpgradedInstanceDocument(TypedDict):
    """An instance of an upgrade, and how many findings it closes there."""

    account: str
    region: str
    instance: str
    name: str
    findings: int


class UpgradeDocument(TypedDict):
    """An upgrade of one package on all machines of one system.

    It closes `findings` findings of `vulnerabilities` vulnerabilities on `machines` machines.
    `exploited` findings have a known exploit, `exposed` machines can be reached from the internet.
    `command` is empty where there is none. `weight` orders the list. `instances` has the first
    1,000 machines.
    """

    package: str
    type: str
    ecosystem: str
    version: str
    command: str
    reboot: bool
    weight: float
    findings: int
    severities: dict[str, int]
    vulnerabilities: int
    exploited: int
    machines: int
    exposed: int
    instances: list[UpgradedInstanceDocument]
