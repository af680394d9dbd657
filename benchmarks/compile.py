"""How long compiling takes, and how much memory.

Recipe: ``python benchmarks/compile.py`` on a quiet machine; ``--shape tiny`` for one
shape only, ``--quantization q0f16`` for another scheme. Each compile is a process of
its own, as in a build; no weights are needed. Prints JSON, then a table.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from compiling import compile_apart

SHAPES: dict[str, dict[str, int]] = {
    "tiny": {
        "hidden_size": 128,
        "intermediate_size": 352,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "num_hidden_layers": 2,
        "vocab_size": 512,
    },
    "tinyllama-1.1b": {
        "hidden_size": 2048,
        "intermediate_size": 5632,
        "num_attention_heads": 32,
        "num_key_value_heads": 4,
        "num_hidden_layers": 22,
        "vocab_size": 32000,
    },
}
COMMON = {
    "model_type": "llama",
    "max_position_embeddings": 2048,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
}


def measure(shape: str, quantization: str) -> dict[str, Any]:
    """Compile one shape and return what it took."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config.json"
        config.write_text(json.dumps({**COMMON, **SHAPES[shape]}))
        taken = compile_apart(str(config), quantization)
    return {"shape": shape, "quantization": quantization, **taken._asdict()}


def main() -> None:
    """Measure the shapes asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", choices=list(SHAPES), action="append")
    parser.add_argument("--quantization", default="q4f16_1")
    args = parser.parse_args()
    rows = [measure(shape, args.quantization) for shape in args.shape or SHAPES]
    print(json.dumps(rows, indent=2))
    names = list(rows[0])
    table = [names, *([str(row[name]) for name in names] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for line in table:
        print("  ".join(f"{cell:>{w}}" for cell, w in zip(line, widths, strict=True)))


if __name__ == "__main__":
    main()
