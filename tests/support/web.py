"""What runs a library for the web: Node.js, with the packages that npm installed.

``MLCX_WEB_PACKAGES`` is the folder that has them: see docs/web.md.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from mlcx.toolchain.needs import needs, refusal
from mlcx.toolchain.triple import parse

__all__ = ["LACKS", "MODEL", "PACKAGES", "compiled", "run", "slow"]

_ROOT = Path(__file__).parents[2]
_SAMPLE = _ROOT / "specs" / "sample-model"
_GOLDEN = _ROOT.parent / "shared" / "golden" / "llama_gqa" / "hf"
MODEL = _GOLDEN if _GOLDEN.is_dir() else _SAMPLE

PACKAGES = os.environ.get("MLCX_WEB_PACKAGES", "")
_NODE = shutil.which("node")
LACKS = refusal(
    "webgpu", needs("webgpu", parse("wasm32-unknown-unknown-wasm"), ".wasm")
)
"""What is missing for compiling them; empty: nothing."""

compiled = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(bool(LACKS), reason=LACKS),
]
"""Marks of tests that compile libraries for the web."""

slow = [
    *compiled,
    pytest.mark.skipif(not PACKAGES, reason="set MLCX_WEB_PACKAGES: see docs/web.md"),
    pytest.mark.skipif(not _NODE, reason="needs node"),
]
"""Marks of those that run them too."""


def run(script: Path, asked: dict[str, Any], folder: Path) -> Any:
    """Return what ``script`` answers to what it is asked, by files in ``folder``."""
    request, result = folder / "request.json", folder / "result.json"
    request.write_text(json.dumps({"packages": PACKAGES, **asked}))
    done = subprocess.run(
        [str(_NODE), str(script), str(request), str(result)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(result.read_text())
