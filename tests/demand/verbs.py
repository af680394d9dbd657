"""Stands in for ``python -m mlcx``: the same verbs and files, without the work."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

CONTROL = Path(os.environ["STAND_IN"])


def option(name: str) -> str:
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else ""


def main() -> int:
    verb, model, output = sys.argv[1], Path(sys.argv[2]), Path(option("-o"))
    with (CONTROL / "calls").open("a") as file:
        file.write(f"{verb} {' '.join(sys.argv[3:-2])}".rstrip() + "\n")
    if verb == "web_runtime":
        output.write_text("runtime")
        return 0
    if (CONTROL / f"fail-{verb}").exists():
        sys.stdout.write("caf\xe9: the reason of the failure\n")
        return 1
    if (CONTROL / f"hang-{verb}").exists():
        (CONTROL / "hanging").write_text(str(os.getpid()))
        time.sleep(600)
    config = json.loads(model.read_text())
    if verb == "normalize":
        fields = {**config["model_config"], "overrides": option("--overrides")}
        names = ("model_type", "quantization")
        config = {name: config[name] for name in names} | {"model_config": fields}
        output.write_text(json.dumps(config))
        return 0
    if (CONTROL / "slow-compile").exists():
        time.sleep(0.3)
    output.write_text(json.dumps([config, sys.argv[3:-2]]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
