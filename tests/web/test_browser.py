"""A library in a browser, held to the same model's on the CPU."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlcx.__main__ import main

from ..support.web import MODEL, run, slow

CHROMIUM = shutil.which("chromium")
TOKENS = [1, 5, 9, 200, 31, 77, 12, 100, 3, 44]
PREFILL = 6

pytestmark = [*slow, pytest.mark.skipif(not CHROMIUM, reason="needs chromium")]


def on_the_web(library: Path, model: Path, prefill: int, folder: Path) -> Any:
    """Return the logits, and what is sampled at the end, as a page computes them."""
    asked = {
        "chromium": CHROMIUM,
        "library": str(library),
        "model": str(model),
        "tokens": TOKENS,
        "prefill": prefill,
        "temperature": 0.7,
        "topP": 0.9,
        "uniform": 0.42,
    }
    return run(Path(__file__).parent / "driver.mjs", asked, folder)


@pytest.mark.parametrize("scheme", ["q0f32", "q4f32_1"])
def test_a_browser_computes_what_the_cpu_does(scheme: str, tmp_path: Path) -> None:
    model = tmp_path / "model"
    scheme_ = ["--quantization", scheme, "-o", str(model)]
    assert main(["gen_config", str(MODEL), *scheme_, "--conv-template", "chatml"]) == 0
    assert main(["convert_weight", str(MODEL), *scheme_]) == 0
    made = {name: tmp_path / f"model.{name}" for name in ("so", "wasm")}
    for device, library in (("cpu", made["so"]), ("webgpu", made["wasm"])):
        command = ["compile", str(model), "--device", device, "-o", str(library)]
        assert main(command) == 0
    output = tmp_path / "cpu.npz"
    command = ["logits", str(model), "--model-lib", str(made["so"])]
    command += ["--tokens", ",".join(map(str, TOKENS)), "--prefill", str(PREFILL)]
    assert main([*command, "-o", str(output)]) == 0
    with np.load(output) as file:
        expected = file["logits"]
    found = on_the_web(made["wasm"], model, PREFILL, tmp_path)
    logits = np.array(found["logits"], np.float32)
    np.testing.assert_allclose(logits, expected[PREFILL - 1 :], atol=3e-5)
    assert (logits.argmax(1) == expected[PREFILL - 1 :].argmax(1)).all()
    check_sampling(found, logits[-1])


def check_sampling(found: Any, logits: np.ndarray[Any, Any]) -> None:
    """Hold what was sampled of ``logits`` to NumPy's."""
    heat = np.exp((logits - logits.max()).astype(np.float64) / 0.7)
    probs = np.array(found["probs"]).ravel()
    np.testing.assert_allclose(probs, heat / heat.sum(), atol=1e-6)
    order = np.array(found["order"]).ravel()
    assert (np.diff(probs[order]) <= 0).all()
    assert sorted(order) == list(range(len(logits)))
    # The nucleus: every token before which there is less than 0.9.
    sums = probs[order].cumsum()
    count = int((sums - probs[order] < 0.9).sum())
    at = int((sums[:count] < 0.42 * sums[count - 1]).sum())
    assert found["token"] == order[at]
