"""What a build costs when nothing, or little, is to be done, at the largest sizes.

Recipe: ``python benchmarks/null_build.py [--folder DIR]`` on a quiet machine with a C
compiler. Two parts:

- a package whose model has 20 GB of shards (sparse files: they cost no disk), bundled
  once and then --runs times with nothing to do;
- a delivery of --jobs libraries (and as many normalized configs), each step a program
  in C that writes its output, built once and then --runs times with nothing to do.

Each is also measured with ``build/standing`` removed before: then SCons is told of all.

Prints, as JSON, the median seconds and CPU seconds, with ``scons --version`` beside
them, which loads SCons and does nothing, and the load of the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SHARD = 512 << 20
STEP = r"""
#include <stdio.h>
#include <string.h>
int main(int count, char **words) {
  for (int i = 1; i + 1 < count; i++)
    if (!strcmp(words[i], "-o")) {
      FILE *file = fopen(words[i + 1], "w");
      if (!file) return 1;
      for (int k = 1; k < count; k++) fprintf(file, "%s\n", words[k]);
      return fclose(file);
    }
  return 2;
}
"""


def measured(folder: Path, *options: str) -> tuple[float, float]:
    """Return the seconds and the CPU seconds of a run of SCons in ``folder``."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-m", "SCons", "-Q", *options]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False
    )
    wall = time.perf_counter() - begin
    if done.returncode:
        raise SystemExit(done.stdout[-2000:] + done.stderr[-2000:])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)
    return wall, used


def rows(folder: Path, runs: int, *options: str) -> dict[str, object]:
    """Build once, then ``runs`` times with nothing to do."""
    first = measured(folder, *options)
    pairs = [(measured(folder), measured(folder, "--version")) for _ in range(runs)]
    null, version = ([list(each) for each in side] for side in zip(*pairs, strict=True))
    told = []
    for _ in range(min(runs, 2)):
        shutil.rmtree(folder / "build/standing")
        told.append(measured(folder))
    return {
        "first": shown(first),
        "null": shown([statistics.median(each) for each in zip(*null, strict=True)]),
        "null, all told to SCons": shown(
            [statistics.median(each) for each in zip(*told, strict=True)]
        ),
        "scons --version": shown(
            [statistics.median(each) for each in zip(*version, strict=True)]
        ),
    }


def shown(pair: tuple[float, float] | list[float]) -> dict[str, float]:
    """Name the two figures of a run."""
    return {"seconds": round(pair[0], 3), "cpu seconds": round(pair[1], 3)}


def write_json(path: Path, value: object) -> None:
    """Write ``value``, and the folder that it is in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def script(folder: Path, spec: str, command: list[str] | None = None) -> None:
    """Write the SConstruct of a folder."""
    more = f", MLCX={command!r}" if command else ""
    (folder / "SConstruct").write_text(
        "from mlcx.scons import generate\n"
        "DefaultEnvironment(tools=[])\n"
        'SetOption("max_drift", 1)\n'
        f"Environment(tools=[generate]{more}).MLCCommandLine({spec!r})\n"
    )


def model(folder: Path, shards: int) -> None:
    """Make a model directory with sparse shards."""
    records = []
    for number in range(shards):
        name = f"params_shard_{number}.bin"
        with (folder / name).open("wb") as file:
            file.truncate(SHARD)
        records.append({"dataPath": name, "nbytes": SHARD, "md5sum": "0" * 32})
    write_json(folder / "tensor-cache.json", {"records": records})


def config(window: int = 64) -> dict[str, object]:
    """Return a config of a model directory, for a context of ``window`` tokens."""
    sizes = {"hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 1}
    sizes |= {"vocab_size": 9, "intermediate_size": 8, "context_window_size": window}
    return {
        "model_type": "llama",
        "quantization": "q4f16_1",
        "model_config": {"rms_norm_eps": 1e-5, **sizes},
        "tokenizer_files": [],
    }


def package(folder: Path, runs: int) -> dict[str, object]:
    """Measure a package with 20 GB of shards and a library that is there already."""
    place = folder / "models/big"
    write_json(place / "mlc-chat-config.json", config())
    model(place, 40)
    # Not one of mlcx, which is looked at as any library is before it is taken over.
    (folder / "lib.c").write_text("int one(void) { return 1; }\n")
    command = ["cc", "-shared", "-o", "lib.so", "lib.c"]
    subprocess.run(command, cwd=folder, check=True)
    entry = {"model": "models/big", "model_id": "big", "model_lib": "big_lib"}
    entry |= {"bundle_weight": True, "estimated_vram_bytes": 5}
    libraries = {"big_lib": "lib.so"}
    spec = {"device": "cpu", "model_list": [entry]}
    write_json(
        folder / "spec.json", {**spec, "model_lib_path_for_prepare_libs": libraries}
    )
    script(folder, "spec.json")
    return rows(folder, runs)


def delivery(folder: Path, runs: int, jobs: int) -> dict[str, object]:
    """Measure a delivery of ``jobs`` libraries."""
    delivery_in(folder, jobs)
    return rows(folder, runs, "-j4")


def delivery_in(folder: Path, jobs: int) -> None:
    """Write a delivery of ``jobs`` libraries, and the program that makes them."""
    source = folder / "step.c"
    source.write_text(STEP)
    step = folder / "step"
    subprocess.run(["cc", "-O1", "-o", str(step), str(source)], check=True)
    for number in range(100):
        place = folder / f"models/{number}"
        write_json(place / "mlc-chat-config.json", config(64 + number))
    tasks = [
        {"model_id": f"model-{number}", "model": f"models/{number % 100}"}
        for number in range(jobs)
    ]
    spec = {"tasks": tasks, "default_compile_options": [{"device": "cpu"}]}
    spec |= {"default_quantization": ["q4f16_1"], "binary_libs_dir": "libs"}
    write_json(folder / "spec.json", spec)
    script(folder, "spec.json", [str(step)])


def main() -> None:
    """Measure both, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="where to build")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2000)
    args = parser.parse_args()
    found: dict[str, object] = {}
    for name, part in (("package", package), ("delivery", delivery)):
        with tempfile.TemporaryDirectory(dir=args.folder) as folder:
            more = [args.jobs] if name == "delivery" else []
            found[name] = part(Path(folder), args.runs, *more)
    found["load"] = [round(each, 2) for each in os.getloadavg()]
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
