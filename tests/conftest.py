"""Fixtures that every test may ask for."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture
def shared():
    """The folder of reference data beside the checkout; tests that want it skip without it."""
    if not SHARED.is_dir():
        pytest.skip(f"reference data are not at {SHARED}")
    return SHARED
