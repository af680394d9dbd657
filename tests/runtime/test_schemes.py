"""Every quantization, compiled and run, next to numpy with the same weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mlcx.__main__ import main
from mlcx.quant.packing import Layer, Role, Scheme
from mlcx.quant.plain import cast, dtype_named
from mlcx.quant.scheme import SCHEMES

from .conftest import Build
from .numpy_llama import logits

TOKENS = (5, 17, 80, 3, 44, 44, 61, 98, 0, 12, 33, 70)

TOLERANCES = {"float32": 1e-4, "float16": 0.02, "bfloat16": 0.15}
"""Of logits of about 2; activations are rounded to that dtype between layers."""


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES)
def test_prefill_and_decode_follow_numpy_with_the_same_weights(
    scheme: Scheme,
    build: Build,
    checkpoint: Path,
    tiny_config: dict[str, Any],
    tiny_weights: dict[str, Any],
    tmp_path: Path,
) -> None:
    files = build(checkpoint, scheme.name)
    command = ["logits", str(files.directory), "--model-lib", str(files.library)]
    command += ["--tokens", ",".join(map(str, TOKENS)), "--prefill", "7"]
    assert main([*command, "-o", str(tmp_path / "found.npz")]) == 0
    with np.load(tmp_path / "found.npz") as arrays:
        found = arrays["logits"]
    stored = {
        name: meant(name, weight, scheme) for name, weight in tiny_weights.items()
    }
    expected = logits(tiny_config, stored, TOKENS)
    tolerance = TOLERANCES[scheme.model_dtype]
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


def meant(name: str, weight: NDArray[np.float32], scheme: Scheme) -> NDArray[Any]:
    """Return the values that ``weight`` has once it is stored."""
    values = cast(weight, dtype_named(scheme.model_dtype))
    role: Role = "embedding" if "embed" in name else "linear"
    layer = Layer(name.removesuffix(".weight"), role, weight.shape)
    packing = scheme.packing(layer) if weight.ndim == 2 else None
    if packing is None:
        return narrowed(values, scheme)
    packed = packing.pack(values)
    packed["q_scale"] = narrowed(packed["q_scale"], scheme)
    return packing.unpack(packed, weight.shape[-1]).astype(np.float32)


def narrowed(values: NDArray[Any], scheme: Scheme) -> NDArray[np.float32]:
    """Return ``values`` as read back: files keep float32 as bfloat16.

    Those of q0f32 are made to keep all bits.
    """
    if scheme.model_dtype == "float32" and scheme.name != "q0f32":
        values = cast(values, dtype_named("bfloat16"))
    return values.astype(np.float32)
