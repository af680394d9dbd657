"""The sample model on AArch64, run by an emulator, held to this machine's.

``MLCX_AARCH64`` is the command of a Python for AArch64: see .ci/aarch64.
"""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mlcx.__main__ import main
from mlcx.toolchain import zig

SAMPLE = Path(__file__).parents[2] / "specs" / "sample-model"
PYTHON = os.environ.get("MLCX_AARCH64", "")
TOKENS = "1,5,9,200,31,77,12,400"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON, reason="set MLCX_AARCH64: see .ci/aarch64"),
    pytest.mark.skipif(zig.program() is None, reason="needs ziglang"),
]


def logits(python: list[str], host: str, folder: Path) -> dict[str, np.ndarray]:
    library, output = folder / f"{host}.so", folder / f"{host}.npz"
    compile_ = ["compile", str(folder / "model"), "--device", "cpu", "--host", host]
    assert main([*compile_, "-o", str(library)]) == 0
    command = [*python, "-m", "mlcx", "logits", str(folder / "model")]
    command += ["--model-lib", str(library), "--tokens", TOKENS, "--prefill", "5"]
    command += ["--greedy", "12", "--threads", "1", "-o", str(output)]
    subprocess.run(command, check=True)
    with np.load(output) as file:
        return dict(file)


def test_a_library_for_aarch64_computes_what_this_machines_does(tmp_path: Path) -> None:
    model = str(tmp_path / "model")
    scheme = ["--quantization", "q4f16_1", "-o", model]
    template = ["--conv-template", "chatml"]
    assert main(["gen_config", str(SAMPLE), *scheme, *template]) == 0
    assert main(["convert_weight", str(SAMPLE), *scheme]) == 0
    here = logits([sys.executable], f"{platform.machine()}-linux-gnu", tmp_path)
    there = logits(shlex.split(PYTHON), "aarch64-linux-gnu", tmp_path)
    # Activations are float16, which each machine rounds in its own order.
    np.testing.assert_allclose(there["logits"], here["logits"], atol=0.03)
    assert (there["greedy"] == here["greedy"]).all()
