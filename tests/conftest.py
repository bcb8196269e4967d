"""What all tests share: where the real-world data is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real advisories, rpm databases, vectors and images of the conformance tests."""
    path = Path(os.environ.get("SIDELIGHT_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not path.is_dir():
        pytest.skip(f"conformance data is absent: no {path} (set SIDELIGHT_SHARED_DATA)")
    return path
