"""What all tests share: where the real-world data is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Two busy cores are slow now and then, which is no fault of the code. In CI the examples are the
# same each time, so that a red run can be repeated; elsewhere each run tries new ones.
settings.register_profile(
    "sidelight",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    derandomize="CI" in os.environ,
)
settings.load_profile("sidelight")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real advisories, rpm databases, vectors and images of the conformance tests."""
    path = Path(os.environ.get("SIDELIGHT_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not path.is_dir():
        pytest.skip(f"conformance data is absent: no {path} (set SIDELIGHT_SHARED_DATA)")
    return path
