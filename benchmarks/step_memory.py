"""What memory steps take, beside what a build expects before they ever ran.

Recipe: ``python benchmarks/step_memory.py [--folder DIR]``; it takes 8 GB of disk space
for a while (the checkpoints themselves are sparse) and some minutes. Builds, in a
folder of its own and without a cache, the specs of this repository's sample with its
quality measured, conversions of larger checkpoints, and a library and the quality of a
model of 135 million weights, then reads off the journal what each process had. Prints a
table, and exits with 1 where a step took more than was expected.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from checkpoints import write_checkpoint

from mlcx.report.journal import JOURNAL, Journal
from mlcx.spec import load
from mlcx.steps.everything import everything
from mlcx.steps.memory import memory
from mlcx.steps.requests import Folders, Request

SPECS = Path(__file__).parents[1] / "specs"
LLAMA_8B = {
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "num_hidden_layers": 1,
}
TINYLLAMA = {
    "hidden_size": 2048,
    "intermediate_size": 5632,
    "num_attention_heads": 32,
    "num_key_value_heads": 4,
    "vocab_size": 32000,
    "num_hidden_layers": 22,
}
SMOLLM = {
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "vocab_size": 49152,
    "num_hidden_layers": 30,
}
MODELS = {
    "llama-8b-layer": (LLAMA_8B, "float16"),
    "llama-8b-wide": (LLAMA_8B, "float32"),
    "llama-8b-brain": (LLAMA_8B, "bfloat16"),
    "tinyllama": (TINYLLAMA, "float16"),
    "smollm": (SMOLLM, "float16"),
}
CONVERTED = (
    ("llama-8b-layer", "q4f16_1"),
    ("llama-8b-layer", "q4f16_0"),
    ("llama-8b-layer", "q0f16"),
    ("llama-8b-wide", "q4f32_1"),
    ("llama-8b-brain", "q4bf16_0"),
    ("tinyllama", "q4f16_1"),
    ("tinyllama", "q4f16_0"),
)
VERIFY = {"max_kl": 100.0, "tokens": 512}


def delivery(tasks: list[dict[str, object]]) -> dict[str, object]:
    """Return a spec of libraries for the CPU that are measured."""
    return {
        "tasks": tasks,
        "default_compile_options": [{"device": "cpu"}],
        "default_quantization": ["q4f16_1"],
        "default_verify": VERIFY,
        "binary_libs_dir": "libs",
    }


def write_specs(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Write checkpoints and specs; yield each spec with what to build of it."""
    for name, (shape, dtype) in MODELS.items():
        (folder / name).mkdir()
        write_checkpoint(folder / name, shape, dtype, sparse=True)
    shutil.copytree(SPECS / "sample-model", folder / "sample")
    measured = [{"model_id": name, "model": name} for name in ("sample", "smollm")]
    (folder / "delivery.json").write_text(json.dumps(delivery(measured)))
    entries = [
        {
            "model": model,
            "model_id": f"{model}-{scheme}",
            "quantization": scheme,
            "conv_template": "chatml",
            "bundle_weight": True,
        }
        for model, scheme in CONVERTED
    ]
    package = {"device": "cpu", "model_list": entries}
    (folder / "package.json").write_text(json.dumps(package))
    names = [f"{model}-{scheme}" for model, scheme in CONVERTED]
    yield "package.json", [f"build/{name}/model/tensor-cache.json" for name in names]
    yield "delivery.json", ["delivery.json"]


def build(folder: Path) -> list[Request]:
    """Build all, one step at a time, and return all steps."""
    (folder / "SConstruct").write_text(
        "from mlcx.scons import generate\n"
        "DefaultEnvironment(tools=[])\n"
        'Environment(tools=[generate]).MLCCommandLine("package.json")\n'
    )
    folders = Folders(folder / "dist", folder / "build")
    requests: dict[Path, Request] = {}
    for spec, targets in [*write_specs(folder)]:
        command = [sys.executable, "-m", "SCons", "-Q", "CACHE_DIR=none", *targets]
        more = [] if spec in targets else [f"SPEC={spec}"]
        subprocess.run([*command, *more], cwd=folder, check=True)
        plan = load(folder / spec)
        found = everything(plan, folders, os.environ)
        requests |= {each.targets[0]: each for each in found}
    return [*requests.values()]


def main() -> int:
    """Build, and print what was expected and what was taken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="where to build")
    args = parser.parse_args()
    wrong = 0
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        folder = Path(name).resolve()
        requests = build(folder)
        journal = Journal(folder / "build" / JOURNAL)
        print("expected  taken  MiB; milliseconds to expect it")
        for request in requests:
            target = request.targets[0].relative_to(folder).as_posix()
            result = journal.latest(target)
            if result is None or result.peak_memory is None:
                continue
            begin = time.perf_counter()
            expected = memory(request)
            spent = (time.perf_counter() - begin) * 1000
            taken = result.peak_memory
            wrong += taken > expected
            figures = f"{expected >> 20:8} {taken >> 20:6}  {spent:4.1f}"
            print(f"{figures}  {request.verb:16} {target}")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
