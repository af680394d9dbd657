"""What a step will take that was never run: memory, and bytes on the disk.

Of memory rather too much, of the disk rather too little: a step that waits in vain
costs minutes, a build that is refused in vain all of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

from mlcx.artifact import read_json
from mlcx.errors import InputError
from mlcx.steps.parts import parts
from mlcx.steps.requests import Request

__all__ = ["memory", "written"]

_MEMORY = {
    "compile": 512 << 20,
    "convert_weight": 384 << 20,
    "web_runtime": 1 << 30,
    "prepare_libs": 2 << 30,
}
"""Verb to bytes: half as much again as it was measured to take, or more."""
_OTHERS = 256 << 20
_RUNS = {"reference-logits", "measure-quality"}
"""Verbs that run a model, all of whose weights are in memory."""

_WEIGHTS = {".safetensors", ".bin"}
_SCHEME = re.compile(r"q(\d)(bf16|f16|f32)_?")
_PLAIN = {"f16": 16, "bf16": 16, "f32": 32}
_EIGHT = ("e4m3", "e5m2", "fp8")
_WIDE = {"float32", "float"}


def memory(request: Request) -> int:
    """Return about how many bytes of memory a process of ``request`` will have."""
    weights = _parts(request.sources) if request.verb in _RUNS else 0
    return _MEMORY.get(request.verb, _OTHERS) + weights


def written(request: Request) -> int:
    """Return how many bytes ``request`` will at least add to the disk; 0: unknown."""
    if request.verb == "bundle" and not _is_on_one_disk(request):
        return _parts(request.sources)
    if request.verb == "convert_weight":
        here = request.output.glob("params_shard_*.bin")
        return max(0, _converted(request) - sum(map(_size, here)))
    return 0


def _converted(request: Request) -> int:
    files = [path for path in request.sources if path.suffix in _WEIGHTS]
    given = sum(map(_size, files)) or _parts(request.sources)
    words = list(request.options)
    name = words[words.index("--quantization") + 1]
    bits = _bits(json.loads(name)["base"] if name.startswith("{") else name)
    return 0 if bits is None else int(given * min(1.0, bits / _bits_given(request)))


def _bits(scheme: str) -> int | None:
    """Return the bits of a weight, without its scale; None: nothing is known."""
    if scheme.startswith(_EIGHT):
        return 8
    found = _SCHEME.match(scheme)
    if found is None:
        return None
    return int(found[1]) or _PLAIN[found[2]]


def _bits_given(request: Request) -> int:
    try:
        config = read_json(request.sources[0])
    except InputError:
        return 16
    return 32 if config.get("torch_dtype", config.get("dtype")) in _WIDE else 16


def _parts(indexes: Iterable[Path]) -> int:
    """Return the bytes of what those of ``indexes`` list that are there."""
    return sum(_size(path) for index in indexes for path in _listed(index))


def _listed(index: Path) -> list[Path]:
    try:
        return [part.path for part in parts(index)] if index.is_file() else []
    except InputError:
        return []


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _is_on_one_disk(request: Request) -> bool:
    """Whether links can serve; what is not there yet is taken to be."""
    source = request.sources[0].parent
    target = next(each for each in request.output.parents if each.exists())
    return not source.exists() or source.stat().st_dev == target.stat().st_dev
