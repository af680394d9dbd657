"""The verb ``inspect``: what a library says of itself, without loading it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlcx.errors import InputError
from mlcx.report.units import size
from mlcx.stamp import KEY

if TYPE_CHECKING:
    from mlcx.library.contents import Contents, Model
    from mlcx.library.modules import Executable
    from mlcx.stamp import Stamp

__all__ = ["inspect", "inspect_arguments"]

_INDENT = " " * 14
_LIMITS = (
    ("context_window_size", "context"),
    ("sliding_window_size", "sliding window"),
    ("attention_sink_size", "attention sinks"),
    ("prefill_chunk_size", "prefill chunk"),
    ("max_batch_size", "batch"),
)
"""Field of the metadata to what it limits, where it is above zero."""

_CACHE = (
    ("num_hidden_layers", "layers"),
    ("num_attention_heads", "query heads"),
    ("num_key_value_heads", "key and value heads"),
    ("head_dim", "wide"),
)

_Row = tuple[str, str]


def inspect_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``inspect``."""
    add = parser.add_argument
    add(
        "file", type=Path, metavar="FILE", help="library: .so .dll .dylib .tar .a .wasm"
    )
    add("--verbose", action="store_true", help="name all functions and kernels")
    add("--json", action="store_true", help="print JSON, for programs")


def inspect(args: argparse.Namespace) -> int:
    """Print what is in a library."""
    from mlcx.library.contents import read

    contents = read(args.file)
    try:
        text = (
            json.dumps(_as_json(contents), indent=2)
            if args.json
            else _text(contents, args.verbose)
        )
    except RecursionError as error:
        message = "lists in its metadata are nested too deep"
        raise InputError.in_file(args.file, message) from error
    print(text)
    return 0


def _text(contents: Contents, verbose: bool) -> str:
    sections = [_file(contents)]
    sections += [
        _model(each, _rebuild(each, contents), verbose) for each in contents.models
    ]
    said = "\n\n".join("\n".join(_lines(rows)) for rows in sections)
    return f"{contents.file}\n{said}"


def _lines(rows: Iterable[_Row]) -> Iterator[str]:
    for name, text in rows:
        first, *others = text.splitlines() or [""]
        yield f"  {name:{len(_INDENT) - 2}}{first}"
        yield from (_INDENT + line for line in others)


def _file(contents: Contents) -> Iterator[_Row]:
    yield "size", size(contents.size)
    if contents.packaging:
        yield "archive", f"{contents.packaging}, {len(contents.parts)} members"
    for part in contents.parts:
        found = part.header
        text = f"{found.format} for {found.architecture}" if found else "not an object"
        text += f", {found.platform}" if found and found.platform else ""
        if contents.packaging:
            text += f": {part.name}, {size(part.size)}"
        yield "format", text


def _rebuild(model: Model, contents: Contents) -> str | None:
    """Return the command that makes a model again: of several, in a library of its own.

    None: nothing is known of its making.
    """
    stamp = model.description.stamp
    prefix = stamp.system_lib_prefix if stamp else None
    alone = f"{prefix.rstrip('_')}.tar" if prefix and contents.models[1:] else None
    return model.description.command(alone or str(contents.file))


def _model(model: Model, rebuild: str | None, verbose: bool) -> Iterator[_Row]:
    metadata = model.description.metadata
    yield "model", f"{metadata['model_type']}, {metadata['quantization']}"
    yield from _making(model, rebuild)
    yield from _runtime(model.executable, model.description.stamp)
    yield "state", _state(metadata)
    yield "limits", _join(metadata, _LIMITS)
    yield "weights", _weights(model)
    yield "memory", _memory(metadata, verbose)
    yield from _code(model, verbose)


def _making(model: Model, rebuild: str | None) -> Iterator[_Row]:
    stamp = model.description.stamp
    if stamp is None:
        later = KEY in model.description.metadata
        yield "built by", "another version of mlcx" if later else "MLC LLM: no stamp"
        return
    yield "built by", f"mlcx {stamp.version}, TVM {stamp.tvm}, its ffi {stamp.tvm_ffi}"
    yield "device", stamp.device
    yield "host", f"{stamp.triple}, CPU {stamp.host.get('mcpu', 'not said')}"
    if stamp.cpu_features:
        yield "needs", " ".join(stamp.cpu_features)
    if stamp.kind != "llvm":
        yield "target", " ".join(_attributes(stamp.target))
    yield "opt", stamp.opt
    if stamp.system_lib_prefix is not None:
        yield "prefix", stamp.system_lib_prefix or "(none)"
    if stamp.recipe is not None:
        yield "recipe", json.dumps(stamp.recipe)
    given = (f"{key}={value}" for key, value in stamp.overrides.items())
    yield "overrides", ", ".join(given).lower()
    yield "config", f"sha256 {stamp.config_sha256}"
    yield "rebuild", rebuild or ""


def _attributes(target: Mapping[str, Any]) -> Iterator[str]:
    for key, value in target.items():
        if key != "host":
            yield f"{key}={value}"


def _runtime(executable: Executable | None, stamp: Stamp | None) -> Iterator[_Row]:
    lines = []
    if executable is not None:
        called = len(executable.runtime_functions)
        lines.append(f"VM {executable.version}, calls {called} of its functions")
    for name, given in stamp.abi.items() if stamp else ():
        counts = ", ".join(f"{count} {what}" for what, count in given.items())
        lines.append(f"{name}: {counts}")
    if lines:
        yield "runtime", "\n".join(lines)


def _state(metadata: Mapping[str, Any]) -> str:
    kind = metadata.get("kv_state_kind", "kv_cache")
    cache = metadata.get("kv_cache")
    return f"{kind}: {_join(cache, _CACHE)}" if isinstance(cache, dict) else str(kind)


def _join(fields: Mapping[str, Any], names: Iterable[tuple[str, str]]) -> str:
    known = ((fields.get(key), name) for key, name in names)
    return ", ".join(
        f"{name} {value}" for value, name in known if type(value) is int and value > 0
    )


def _weights(model: Model) -> str:
    count = len(model.description.metadata["params"])
    total = model.parameter_bytes
    known = "of a size that the config says" if total is None else size(total)
    return f"{count} tensors, {known}"


def _memory(metadata: Mapping[str, Any], verbose: bool) -> str:
    """Say what temporaries take: the most, or each function's."""
    usage = metadata.get("memory_usage")
    if not isinstance(usage, dict):
        return "not said"
    known = [item for item in usage.items() if type(item[1]) is int]
    rows = sorted(known, key=lambda item: (-item[1], item[0]))
    if not rows:
        return "none"
    name, most = rows[0]
    first = f"{size(most)} at most, in {name}"
    if not verbose:
        return first
    return "\n".join(
        [first, *(f"{name}: {size(taken)}" for name, taken in rows if taken)]
    )


def _code(model: Model, verbose: bool) -> Iterator[_Row]:
    if model.executable is not None:
        own = model.executable.functions
        names = [f"{each.name} ({each.arguments})" for each in own]
        yield "functions", _listed(f"{len(own)}", names, verbose)
    host = model.host_functions
    yield "host code", _listed(f"{len(host)} functions", host, verbose)
    for device in model.executable.devices if model.executable else ():
        form = f" as {device.format}" if device.format else ""
        count, whole = len(device.kernels), size(device.bytes)
        text = f"{count} for {device.kind}{form}, {whole}"
        yield "kernels", _listed(text, device.kernels, verbose)


def _listed(text: str, names: Iterable[str], verbose: bool) -> str:
    return "\n".join([text, *names]) if verbose else text


def _as_json(contents: Contents) -> dict[str, Any]:
    return {
        "file": str(contents.file),
        "bytes": contents.size,
        "archive": contents.packaging or None,
        "parts": [
            {
                "name": part.name,
                "bytes": part.size,
                "format": part.header.format if part.header else None,
                "architecture": part.header.architecture if part.header else None,
                "platform": (part.header and part.header.platform) or None,
            }
            for part in contents.parts
        ],
        "models": [
            _model_as_json(each, _rebuild(each, contents)) for each in contents.models
        ],
    }


def _model_as_json(model: Model, rebuild: str | None) -> dict[str, Any]:
    ran = model.executable
    devices = ran.devices if ran else ()
    return {
        "metadata": dict(model.description.metadata),
        "stamped": model.description.stamp is not None,
        "rebuild": rebuild,
        "parameter_bytes": model.parameter_bytes,
        "vm": ran.version if ran else None,
        "functions": {each.name: each.arguments for each in ran.functions}
        if ran
        else None,
        "runtime_functions": list(ran.runtime_functions) if ran else None,
        "host_functions": list(model.host_functions),
        "kernels": [
            {
                "kind": each.kind,
                "format": each.format or None,
                "bytes": each.bytes,
                "names": list(each.kernels),
            }
            for each in devices
        ],
    }
