"""How long compiling takes, and how much memory.

Recipe: ``python benchmarks/compile.py`` on a quiet machine; ``--shape tiny`` for one
shape only, ``--quantization q0f16`` for another scheme. Each compile is a process of
its own, as in a build; no weights are needed. Prints JSON, then a table.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

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
    """Compile one shape in a process and return its seconds and peak memory."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = folder / "config.json"
        config.write_text(json.dumps({**COMMON, **SHAPES[shape]}))
        library = folder / "model.so"
        command = [sys.executable, "-m", "mlcx", "compile", str(config)]
        command += ["--quantization", quantization, "--device", "cpu"]
        command += ["-o", str(library)]
        begin = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begin
        if status:
            raise SystemExit(f"compiling {shape} failed")
        return {
            "shape": shape,
            "quantization": quantization,
            "wall_s": round(seconds, 2),
            "cpu_s": round(usage.ru_utime + usage.ru_stime, 2),
            "peak_mib": usage.ru_maxrss // 1024,
            "library_kib": library.stat().st_size // 1024,
        }


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
