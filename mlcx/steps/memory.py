"""What memory a step will take that was never run; rather too much than too little.

A step that waits in vain costs minutes, one that does not fit all of the build. What a
model comes to is computed from headers and configs, in milliseconds; what a process
takes besides was measured: ``benchmarks/step_memory.py`` holds both against each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mlcx.artifact import CHAT_CONFIG, TENSOR_CACHE, read_json
from mlcx.errors import InputError
from mlcx.share import processors
from mlcx.spec.devices import DEVICES
from mlcx.steps import schemes
from mlcx.steps.parts import listed, size_of
from mlcx.steps.requests import Request
from mlcx.steps.tensors import largest_layer

__all__ = ["memory"]

_MIB = 1 << 20
_PROCESS = {
    "compile": 384 * _MIB,
    "web_runtime": 1024 * _MIB,
    "prepare_libs": 2048 * _MIB,
    **dict.fromkeys(("reference-logits", "measure-quality"), 128 * _MIB),
    **dict.fromkeys(("bundle", "app_config", "prebuilt", "judge-quality"), 64 * _MIB),
}
"""Verb to what its process takes, whatever the model is."""
_OTHERS = 256 * _MIB

_LAYER = 4 * _MIB
"""For each layer of a model that is compiled: its code, over and over."""
_COMPILERS = {"cuda": 128 * _MIB}
"""Kind of a device to what a compiler of its kernels takes in the same process."""
_LAYERS = ("num_hidden_layers", "n_layer", "num_layers")
"""What configs call their number."""

_THREAD = 24 * _MIB
"""For each thread of a conversion: the blocks that it has taken ahead."""
_PYTORCH = 512 * _MIB
"""For PyTorch, which reads its own files."""

_FLOAT = 4
"""Bytes of a float32."""
_CALL = 64
"""Tokens whose logits a comparison has at a time."""
_ARRAYS = 8
"""Arrays as large as those logits."""


def memory(request: Request) -> int:
    """Return about how many bytes of memory a process of ``request`` will have."""
    process = _PROCESS.get(request.verb, _OTHERS)
    if request.verb == "compile":
        return process + _compiling(request)
    if request.verb == "convert_weight":
        return process + _converting(request)
    if request.verb in {"reference-logits", "measure-quality"}:
        return process + _running(request)
    return process


def _compiling(request: Request) -> int:
    model = _object(_content(request.sources[0]), "model_config")
    device = DEVICES.get(schemes.option(request.options, "--device", ""))
    compiler = _COMPILERS.get(device.kind, 0) if device else 0
    return compiler + _LAYER * max(_number(model, name) for name in _LAYERS)


def _converting(request: Request) -> int:
    """Return what blocks take, and what is kept until a layer is complete."""
    files = [*_weight_files(request.sources)]
    scheme = schemes.scheme(request.options)
    kept = schemes.scale_bytes(scheme)
    if schemes.is_transposed(scheme):
        kept += (schemes.bits(scheme) or 0) / 8
    pytorch = _PYTORCH if any(path.suffix == ".bin" for path in files) else 0
    return processors() * _THREAD + pytorch + int(kept * largest_layer(files))


def _weight_files(sources: Iterable[Path]) -> Iterator[Path]:
    for source in sources:
        yield source
        yield from listed(source)


def _running(request: Request) -> int:
    """Return what a model that runs takes: its files, weights, activations, logits."""
    named = {path.name: path for path in request.sources}
    config, index = _content(named.get(CHAT_CONFIG)), _content(named.get(TENSOR_CACHE))
    model = _object(config, "model_config")
    width = 2 * _number(model, "intermediate_size") + 8 * _number(model, "hidden_size")
    activations = _number(config, "prefill_chunk_size") * width * _FLOAT
    kept = int(schemes.option(request.options, "--tokens", "0"))
    logits = (_CALL * _ARRAYS + kept) * _number(config, "vocab_size") * _FLOAT
    # Shards may hold float32 in half of its bytes.
    weights = _number(_object(index, "metadata"), "ParamBytes")
    return sum(map(size_of, request.sources)) + weights + activations + logits


def _content(file: Path | None) -> Mapping[str, Any]:
    try:
        return {} if file is None else read_json(file)
    except InputError:
        return {}


def _object(content: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = content.get(name)
    return value if isinstance(value, dict) else {}


def _number(content: Mapping[str, Any], name: str) -> int:
    value = content.get(name)
    return int(value) if isinstance(value, int | float) and value > 0 else 0
