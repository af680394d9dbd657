"""Tiny models of every architecture, and what transformers computes with them.

``<model_type>.json`` has configs as they are published, but small and odd: the fields
that its ``cases`` have in ``common``, and what each adds or changes. The first case is
tried with every quantization. There, too, are the names of the tensors (globs) that no
quantization touches, ``unquantized``, or that are stored (in, out), ``transposed``, and
the table that a tied head is a copy of, where MLC stores that apart, ``head``.

``<model_type>.npz`` has what ``make.py`` made of them. Weights are seeded noise, so
that they need no storing.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from mlcx.__main__ import main
from mlcx.quant.group import GroupPacking, GroupScheme
from mlcx.quant.packing import Layer, Role

FOLDER = Path(__file__).parent
Arrays = dict[str, NDArray[Any]]

POSITIONS = (14, 29, 44, 59)
"""Of the tokens whose logits are stored."""

LENGTH = 60
STEPS = 16
"""Tokens of a text, and those that follow it."""

SAME_WEIGHTS = {
    "q0f16": "q0f32",
    "q0bf16": "q0f32",
    "q3f16_0": "q3f16_1",
    "q4f16_0": "q4f16_1",
}
"""Quantizations that stand for the weights of another."""

_TABLES = ("*embed_tokens*", "*embed_in*", "*embd*", "*wte*", "*wpe*")


@dataclass(frozen=True)
class Family:
    """The cases of one ``model_type``."""

    model_type: str
    cases: dict[str, dict[str, Any]]
    unquantized: tuple[str, ...] = ()
    transposed: tuple[str, ...] = ()
    head: str | None = None

    @property
    def first(self) -> str:
        """The case that every quantization is tried with."""
        return next(iter(self.cases))

    def arrays(self) -> Arrays:
        """Return what ``make.py`` stored, by case and name."""
        with np.load(FOLDER / f"{self.model_type}.npz") as found:
            return dict(found)

    def quantized(self, weights: Arrays, scheme: GroupScheme) -> Arrays:
        """Return what all ``weights`` stand for; a head that is a copy is apart."""
        copy = {} if self.head is None else {"lm_head.weight": weights[self.head]}
        found = (weights | copy).items()
        return {name: self.stands_for(name, each, scheme) for name, each in found}

    def stands_for(self, name: str, weight: NDArray[Any], scheme: GroupScheme) -> Any:
        """Return the float32 values that ``weight`` has once quantized and back."""
        turned = weight.T if _any(name, self.transposed) else weight
        kept = np.ascontiguousarray(turned.astype(scheme.model_dtype))
        packing = self._packing(name, kept, scheme)
        if packing is not None:
            kept = packing.unpack(packing.pack(kept), kept.shape[-1])
        values = kept.astype(np.float32)
        return values.T if turned is not weight else values

    def _packing(
        self, name: str, weight: NDArray[Any], scheme: GroupScheme
    ) -> GroupPacking | None:
        if weight.ndim < 2 or _any(name, self.unquantized):
            return None
        role: Role = "experts" if ".experts." in name else "linear"
        if _any(name, _TABLES):
            role = "embedding"
        module = name.removesuffix(".weight")
        return scheme.packing(Layer(module, role, weight.shape, None))


def family(model_type: str) -> Family:
    """Return the cases of an architecture."""
    data = json.loads((FOLDER / f"{model_type}.json").read_text())
    globs = {k: tuple(data.get(k, ())) for k in ("unquantized", "transposed")}
    common = {"model_type": model_type} | data.get("common", {})
    cases = {name: common | changes for name, changes in data["cases"].items()}
    return Family(model_type, cases, **globs, head=data.get("head"))


def families() -> list[str]:
    """Return every ``model_type`` that has references."""
    return sorted(path.stem for path in FOLDER.glob("*.npz"))


def text(vocab_size: int) -> list[int]:
    """Return a text of noise."""
    return np.random.default_rng(7).integers(0, vocab_size, LENGTH).tolist()


def seeded(name: str, shape: tuple[int, ...], seed: int) -> NDArray[np.float32]:
    """Return a tensor of a checkpoint.

    Matrices keep what they multiply in size; vectors are around 0.5, biases around 0.
    All are exact in bfloat16, which float32 weights are stored as, and so are the
    vectors' sums with 1.
    """
    random = np.random.default_rng([seed, zlib.crc32(name.encode())])
    if len(shape) > 1 and min(shape) > 1:
        values = random.normal(size=shape) / shape[-1] ** 0.5
    else:
        values = random.integers(0, 128, shape) / 128 - name.endswith("bias") / 2
    return values.astype(ml_dtypes.bfloat16).astype(np.float32)


def checkpoint(arrays: Arrays, case: str) -> Arrays:
    """Return all tensors of a case, in float32."""
    seed = int(arrays[f"{case}/seed"])
    rows = (str(row).split() for row in arrays[f"{case}/tensors"])
    return {name: seeded(name, tuple(map(int, sizes)), seed) for name, *sizes in rows}


def logits(name: str, case: str, quantization: str) -> Arrays:
    """Return what transformers computed: ``logits``, ``greedy`` and ``margins``."""
    weights = SAME_WEIGHTS.get(quantization, quantization)
    start = f"{case}/{weights}/"
    found = family(name).arrays().items()
    return {k.removeprefix(start): v for k, v in found if k.startswith(start)}


def rounding(name: str, dtype: str) -> float:
    """Return by how much transformers' own logits differ when it computes in ``dtype``.

    From those in float32, at most, of the first case of ``name``.
    """
    cases = family(name)
    return float(cases.arrays()[f"{cases.first}/{dtype}/difference"])


def build(
    folder: Path, name: str, case: str, quantization: str, device: str = "cpu"
) -> None:
    """Put a case into ``folder`` as ``model`` and ``model.so``, with chunks of 24."""
    cases = family(name)
    (folder / "config.json").write_text(json.dumps(cases.cases[case]))
    save_file(checkpoint(cases.arrays(), case), folder / "model.safetensors")
    common = [str(folder), "--quantization", quantization, "-o", str(folder / "model")]
    assert main(["convert_weight", *common, "--float32", "raw"]) == 0
    chunk = ["--prefill-chunk-size", "24", "--conv-template", "LM"]
    assert main(["gen_config", *common, *chunk]) == 0
    command = ["compile", str(folder / "model"), "--device", device]
    assert main([*command, "-o", str(folder / "model.so")]) == 0


def _any(name: str, globs: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, glob) for glob in globs)
