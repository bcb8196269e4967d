"""A worker's command line."""

from __future__ import annotations

import pytest

from sidelight.fleet.settings import Settings
from workers.worker_command import KINDS, worker_command


def node_name(kind: str, *regions: str) -> str:
    command = worker_command(kind, Settings(), regions=regions or ("",), size=1)
    return command[command.index("--hostname") + 1]


@pytest.mark.parametrize("kind", KINDS)
def test_two_workers_of_one_host_have_different_names(kind: str) -> None:
    names = {node_name(kind) for _ in range(20)}
    assert len(names) == 20
    assert all(name.startswith(f"{kind}-") and name.endswith("@%h") for name in names)


def test_a_name_says_the_regions() -> None:
    assert node_name("waiting", "eu-west-1").startswith("waiting-eu-west-1-")
