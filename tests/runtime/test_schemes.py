"""Every quantization, compiled and run, next to numpy with the same weights."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mlcx.__main__ import main
from mlcx.quant.packing import FittedPacker, Layer, Role, Scheme
from mlcx.quant.plain import cast, dtype_named
from mlcx.quant.scheme import SCHEMES

from .conftest import Build
from .numpy_llama import logits
from .quantized_checkpoints import GIVEN

TOKENS = (5, 17, 80, 3, 44, 44, 61, 98, 0, 12, 33, 70)

TOLERANCES = {"float32": 1e-4, "float16": 0.02, "bfloat16": 0.15}
"""Of logits of about 2; activations are rounded to that dtype between layers."""


ALWAYS = {"q0f16", "q3f16_1", "q4f32_1", "e4m3_e4m3_f16"}
"""One of each kind; the others are slow, since each is a compile."""


def made() -> Iterator[Any]:
    """Return the schemes that pack the weights of any Llama."""
    for name, scheme in SCHEMES.items():
        if name not in GIVEN and name != "q4f16_ft":
            marks = () if name in ALWAYS else (pytest.mark.slow,)
            yield pytest.param(scheme, id=name, marks=marks)


@pytest.mark.parametrize("scheme", list(made()))
def test_prefill_and_decode_follow_numpy_with_the_same_weights(
    scheme: Scheme,
    build: Build,
    checkpoint: Path,
    tiny_config: dict[str, Any],
    tiny_weights: dict[str, Any],
    tmp_path: Path,
    record: Callable[..., None],
) -> None:
    files = build(checkpoint, scheme.name)
    command = ["logits", str(files.directory), "--model-lib", str(files.library)]
    command += ["--tokens", ",".join(map(str, TOKENS)), "--prefill", "7"]
    assert main([*command, "-o", str(tmp_path / "found.npz")]) == 0
    with np.load(tmp_path / "found.npz") as arrays:
        found = arrays["logits"]
    stored = {
        name: meant(name, weight, scheme, fused_with(name, tiny_weights))
        for name, weight in tiny_weights.items()
    }
    difference = abs(found - logits(tiny_config, stored, TOKENS)).max()
    record("llama, random", scheme.name, "logits", difference)
    assert difference < TOLERANCES[scheme.model_dtype]


def meant(
    name: str,
    weight: NDArray[np.float32],
    scheme: Scheme,
    fused: Sequence[NDArray[np.float32]] = (),
) -> NDArray[Any]:
    """Return the values of ``weight`` once it is stored, ``fused`` with others."""
    values = cast(weight, dtype_named(scheme.model_dtype))
    role: Role = "embedding" if "embed" in name else "linear"
    layer = Layer(name.removesuffix(".weight"), role, weight.shape)
    packing = scheme.packing(layer) if weight.ndim == 2 else None
    if packing is None:
        return narrowed(values, scheme)
    if isinstance(packing, FittedPacker):
        packing = packing.fitted(max(float(abs(each).max()) for each in fused))
    packed = packing.pack(values)
    if "q_scale" in packed:
        packed["q_scale"] = narrowed(packed["q_scale"], scheme)
    return packing.unpack(packed, weight.shape[-1]).astype(np.float32)


def fused_with(name: str, weights: Mapping[str, Any]) -> list[NDArray[np.float32]]:
    """Return the weights that are one with the weight ``name``, itself among them."""
    for part in ("(q|k|v)_proj", "(gate|up)_proj"):
        pattern = re.sub(part, part, name)
        if pattern != name:
            return [each for key, each in weights.items() if re.fullmatch(pattern, key)]
    return [weights[name]]


def narrowed(values: NDArray[Any], scheme: Scheme) -> NDArray[np.float32]:
    """Return ``values`` as read back: files keep float32 as bfloat16.

    Those of q0f32 are made to keep all bits.
    """
    if values.dtype == np.float32 and scheme.name != "q0f32":
        values = cast(values, dtype_named("bfloat16"))
    return values.astype(np.float32)
