"""How long compiling takes, and how much memory.

Recipe: ``python benchmarks/compile.py`` on a quiet machine; ``--shape tiny`` for one
shape only, ``--quantization q0f16`` for another scheme, ``--device cuda --device
metal`` for these, ``--device all`` for every one whose tools are here. Each compile is
a process of its own, as in a build; no weights are needed. Prints JSON, then a table.

The exit status is 1 where a device took more than its budget: so many seconds of CPU,
which other work on the machine hardly changes, or so much memory.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from compiling import compile_apart

from mlcx.spec.devices import DEVICES
from mlcx.toolchain.needs import needs, refusal
from mlcx.toolchain.triple import parse

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
MOST_SECONDS = {"tiny": {"cuda": 20.0}, "tinyllama-1.1b": {}}
MOST_SECONDS_OTHERWISE = {"tiny": 30.0, "tinyllama-1.1b": 90.0}
MOST_MIB = 4 * 1024


def measure(shape: str, quantization: str, device: str) -> dict[str, Any]:
    """Compile one shape and return what it took."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config.json"
        config.write_text(json.dumps({**COMMON, **SHAPES[shape]}))
        taken = compile_apart(str(config), quantization, device)
    return {
        "device": device,
        "shape": shape,
        "quantization": quantization,
        **taken._asdict(),
        "in_budget": taken.cpu_s <= most_seconds(shape, device)
        and taken.peak_mib <= MOST_MIB,
    }


def most_seconds(shape: str, device: str) -> float:
    """Return the budget of one compile."""
    return MOST_SECONDS[shape].get(device, MOST_SECONDS_OTHERWISE[shape])


def devices(asked: list[str]) -> list[str]:
    """Return the presets asked for; of all of them, those whose tools are here."""
    if asked != ["all"]:
        return asked
    found = {
        name: needs(device.kind, parse(device.host), device.suffix)
        for name, device in DEVICES.items()
    }
    return [name for name, each in found.items() if not refusal(name, each)]


def main() -> None:
    """Measure the shapes and devices asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", choices=list(SHAPES), action="append")
    parser.add_argument("--quantization", default="q4f16_1")
    parser.add_argument("--device", choices=["all", *DEVICES], action="append")
    args = parser.parse_args()
    rows = [
        measure(shape, args.quantization, device)
        for shape in args.shape or SHAPES
        for device in devices(args.device or ["cpu"])
    ]
    print(json.dumps(rows, indent=2))
    names = list(rows[0])
    table = [names, *([str(row[name]) for name in names] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for line in table:
        print("  ".join(f"{cell:>{w}}" for cell, w in zip(line, widths, strict=True)))
    sys.exit(not all(row["in_budget"] for row in rows))


if __name__ == "__main__":
    main()
