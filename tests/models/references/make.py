"""Write ``<model_type>.npz`` from ``<model_type>.json``: logits of transformers.

    pip install -e '.[reference]'
    python tests/models/references/make.py llama mistral

A case gets the first seed whose greedy path has no near tie.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.numpy import save_file
from transformers import AutoConfig, AutoModelForCausalLM

sys.path.insert(0, str(Path(__file__).parents[3]))

from mlcx.quant.group import GroupScheme
from mlcx.quant.scheme import SCHEMES
from tests.models.references import (
    FOLDER,
    POSITIONS,
    SAME_WEIGHTS,
    STEPS,
    Arrays,
    Family,
    family,
    seeded,
    text,
)

CLEAR = 0.02
"""A likeliest token leads by this, in float32 weights."""


def main(names: list[str]) -> None:
    """Make the references of ``names``."""
    torch.manual_seed(0)
    for name in names:
        found: Arrays = {}
        cases = family(name)
        for case in cases.cases:
            found |= {f"{case}/{k}": v for k, v in of_case(cases, case).items()}
        np.savez_compressed(FOLDER / f"{name}.npz", **found)
        print(f"{name}: {len(cases.cases)} cases")  # noqa: T201


def of_case(cases: Family, case: str) -> Arrays:
    """Return the seed, the tensors and the logits of one case."""
    config = cases.cases[case]
    shapes = tensors(config)
    prompt = text(config["vocab_size"])
    for seed in range(100):
        weights = {name: seeded(name, shape, seed) for name, shape in shapes.items()}
        found = run(config, weights, prompt)
        if found["margins"].min() > CLEAR:
            break
    else:
        raise SystemExit(f"{case}: every seed has a near tie")
    rows = [" ".join([name, *map(str, shape)]) for name, shape in shapes.items()]
    out: Arrays = {"seed": np.array(seed), "tensors": np.array(rows)}
    out |= {f"q0f32/{k}": v for k, v in found.items()}
    if case == cases.first:
        for dtype in ("float16", "bfloat16"):
            rounded = run(config, weights, prompt, dtype)["logits"]
            difference = abs(rounded - out["q0f32/logits"]).max()
            out[f"{dtype}/difference"] = difference
        for scheme in SCHEMES.values():
            if isinstance(scheme, GroupScheme) and scheme.name not in SAME_WEIGHTS:
                kept = cases.quantized(weights, scheme)
                apart = {"tie_word_embeddings": False} if cases.head else {}
                found = run(config | apart, kept, prompt)
                out |= {f"{scheme.name}/{k}": v for k, v in found.items()}
    return out


def tensors(config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """Return what a checkpoint of ``config`` has, under the names that it has there."""
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**config))
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        with safe_open(f"{folder}/model.safetensors", "np") as file:
            return {k: tuple(file.get_slice(k).get_shape()) for k in file.keys()}  # noqa: SIM118


def run(
    config: dict[str, Any], weights: Arrays, prompt: list[int], dtype: str = "float32"
) -> Arrays:
    """Return the logits of ``prompt`` and what follows it, with the leads of each.

    Computed in ``dtype``.
    """
    with tempfile.TemporaryDirectory() as folder:
        AutoConfig.for_model(**config).save_pretrained(folder)
        plain = {k: np.ascontiguousarray(v) for k, v in weights.items()}
        save_file(plain, f"{folder}/model.safetensors", {"format": "pt"})
        model = AutoModelForCausalLM.from_pretrained(
            folder,
            attn_implementation="eager",
            experts_implementation="eager",
            dtype=getattr(torch, dtype),
        ).eval()
    ids, greedy, margins = list(prompt), [], []
    with torch.no_grad():
        first = model(torch.tensor([ids]), use_cache=False).logits[0]
        for _ in range(STEPS):
            logits = model(torch.tensor([ids]), use_cache=False).logits[0, -1]
            best, second = logits.topk(2).values.tolist()
            ids.append(int(logits.argmax()))
            greedy.append(ids[-1])
            margins.append(best - second)
    return {
        "logits": first[list(POSITIONS)].float().numpy(),
        "greedy": np.array(greedy),
        "margins": np.array(margins, np.float32),
    }


if __name__ == "__main__":
    main(sys.argv[1:])
