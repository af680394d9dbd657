"""What schemes and recipes cost the sample model, by ``mlcx verify-quality``.

Recipe: ``python benchmarks/quality.py``, some minutes on two cores. Converts and
compiles the sample model in each quantization of ``CHOICES``, and holds each library
against the checkpoint at q0f32 on 512 tokens of two texts: tales drawn anew by what
drew those that the model was trained on, and mlcx's own passage, which is nothing like
them. Prints the rows of the table in docs/quantize.md.
"""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

SAMPLE = Path(__file__).resolve().parents[1] / "specs" / "sample-model"

_EMBEDDING = {"embed_tokens": "q8f16_1"}
_BOTH = _EMBEDDING | {"*.down_proj": "q8f16_1"}

CHOICES = {
    "`q3f16_1`": "q3f16_1",
    "`q4f16_1`": "q4f16_1",
    "`q4f16_1`, `embed_tokens` in `q8f16_1`": json.dumps(
        {"name": "embedding", "base": "q4f16_1", "layers": _EMBEDDING}
    ),
    "the same, `*.down_proj` in `q8f16_1` too": json.dumps(
        {"name": "both", "base": "q4f16_1", "layers": _BOTH}
    ),
    "`q8f16_1`": "q8f16_1",
    "`q0f16`": "q0f16",
}
"""How the table calls a quantization, and how it is asked for."""


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        text = folder / "tales.txt"
        text.write_text(tales())
        for called, quantization in CHOICES.items():
            bits = built(quantization, folder)
            on_tales = measured(folder, "--text", str(text))
            print(f"| {called} | {bits:.2f} | {on_tales} | {measured(folder)} |")


def tales() -> str:
    """Return more tales than 512 tokens have room for, the same ones each time."""
    sys.path.insert(0, str(SAMPLE))
    from tales import draw_tale  # noqa: PLC0415 (no package)

    drawn = random.Random(2024)
    return "\n\n".join(draw_tale(drawn).text for _ in range(8))


def built(quantization: str, folder: Path) -> float:
    """Make ``model`` and ``model.so``; return the bits that a parameter takes."""
    chosen = (str(SAMPLE), "--quantization", quantization, "-o", str(folder / "model"))
    mlcx("gen_config", *chosen, "--conv-template", "chatml")
    said = mlcx("convert_weight", *chosen)
    mlcx("compile", str(folder / "model"), "-o", str(folder / "model.so"))
    found = re.search(r"([0-9.]+) bits per parameter", said)
    assert found, said
    return float(found[1])


def measured(folder: Path, *text: str) -> str:
    """Return two cells: the mean KL divergence and the top-1 agreement."""
    command = ["verify-quality", str(folder / "model"), "--reference", str(SAMPLE)]
    command += ["--model-lib", str(folder / "model.so"), "--build", str(folder)]
    figures: dict[str, Any] = json.loads(mlcx(*command, "--json", *text))["figures"]
    return f"{figures['mean_kl']:.2g} | {100 * figures['top1']:.1f} %"


def mlcx(*words: str) -> str:
    """Run a verb; return what it prints."""
    command = [sys.executable, "-m", "mlcx", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    main()
