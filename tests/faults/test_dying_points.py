"""The points at which the long tests kill a worker exist."""

from __future__ import annotations

from sidelight.aws.ec2 import Ec2
from sidelight.store import Store
from tests.worker_programs.dying_points import EC2, STORE


def test_every_deadly_point_is_a_method_of_the_store_or_of_ec2() -> None:
    with Store("sqlite://") as store:
        for part, names in STORE.items():
            for name in names:
                assert callable(getattr(getattr(store, part), name))
    for name in EC2:
        assert callable(getattr(Ec2, name))
