"""Models as large as real ones: kernels that tiny shapes have in another form or not.

Rows of logits are longer than the tile that a block sorts, products are large enough
for matrix units, and embeddings have more elements than 16 bits count.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from compile import COMMON, SHAPES
from compiling import compile_apart

from mlcx.library import contents
from mlcx.spec.devices import DEVICES
from mlcx.toolchain.needs import needs, refusal
from mlcx.toolchain.triple import parse

gpu_code = pytest.importorskip("gpu_code")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

TINYLLAMA = "tinyllama-1.1b"
WIDEST = "gemma_2b"
"""A preset with a vocabulary of 256000."""


@pytest.mark.parametrize("device", ["metal", "webgpu"])
@pytest.mark.parametrize("model", [TINYLLAMA, WIDEST])
def test_a_model_of_real_size_has_all_its_kernels(
    model: str, device: str, tmp_path: Path
) -> None:
    preset = DEVICES[device]
    if lacks := refusal(device, needs(preset.kind, parse(preset.host), preset.suffix)):
        pytest.skip(lacks)
    if model == TINYLLAMA:
        config = tmp_path / "config.json"
        config.write_text(json.dumps(COMMON | SHAPES[model]))
        model = str(config)
    library = tmp_path / f"library{preset.suffix}"
    compile_apart(model, "q4f16_1", device, output=library)
    (found,) = contents.read(library).models
    assert found.executable is not None
    (code,) = found.executable.devices
    assert len(code.kernels) > 30
    assert {"argsort_probs_kernel_kernel", "argsort_probs_kernel_kernel_1"} <= set(
        code.kernels
    )
    assert gpu_code.with_code(library, code) == set(code.kernels)
