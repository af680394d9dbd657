"""Let the tests import the modules that lie beside the sample model."""

from __future__ import annotations

from pathlib import Path

import pytest

SAMPLE = Path(__file__).resolve().parents[2] / "specs" / "sample-model"


@pytest.fixture
def sample(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the sample model, from which modules can be imported."""
    monkeypatch.syspath_prepend(SAMPLE)
    return SAMPLE
