"""mlcx's turn in ``decode.py``.

Run by ``decode.py``: ``decode_mlcx.py WORK prepare`` or
``decode_mlcx.py WORK run PROMPT TOKENS``.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from random_models import SHAPE, write_config, write_weights
from turns import timed_turn

from mlcx.runtime.device import LoadedModel, open_library

LIBRARY = "model.so"


def prepare(work: Path) -> None:
    """Compile the library and make its weights, unless they are there."""
    command = [sys.executable, "-m", "mlcx", "compile", str(write_config(work))]
    command += ["--quantization", "q4f16_1", "--device", "cpu"]
    subprocess.run([*command, "-o", str(work / LIBRARY)], check=True)
    if (work / "tensor-cache.json").exists():
        return
    parameters = open_library(work / LIBRARY, "cpu").metadata.parameters
    write_weights(
        work,
        {
            one.name: (tuple(SHAPE.get(n, n) for n in one.shape), one.dtype)
            for one in parameters
        },
    )


def run(work: Path, prompt: int, tokens: int) -> dict[str, object]:
    """Return seconds, see ``timed_turn``, and ``bytes`` of weights read for a token."""
    model = LoadedModel(open_library(work / LIBRARY, "cpu"), work, 1, 512)
    model.add(0)

    def reset() -> None:
        model.remove(0)
        model.add(0)

    def feed(ids: Sequence[int]) -> None:
        function = "decode" if len(ids) == 1 else "prefill"
        model.forward(function, {0: ids})

    return {**timed_turn(reset, feed, prompt, tokens), "bytes": _weight_bytes(work)}


def _weight_bytes(work: Path) -> int:
    """Return the size of all weights but the embedding, of which one row is read."""
    shards = json.loads((work / "tensor-cache.json").read_text())["records"]
    names = [shard["records"][0]["name"] for shard in shards]
    read = [not name.startswith("model.embed_tokens") for name in names]
    return sum(s["nbytes"] for s, used in zip(shards, read, strict=True) if used)


def main() -> None:
    """Do what the arguments say; see above."""
    work, action, *numbers = sys.argv[1:]
    if action == "run":
        print(json.dumps(run(Path(work), *map(int, numbers))))
    else:
        prepare(Path(work))


if __name__ == "__main__":
    main()
