"""What a schema cannot check of ``verify``: whether it can be done, here and now."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mlcx.architectures.quantized import KEY
from mlcx.artifact import TOKENIZER
from mlcx.errors import Problem
from mlcx.spec.devices import Device
from mlcx.spec.folder import ModelFolder, Place, found_instead, is_file, lacks
from mlcx.spec.options import DEFAULTS
from mlcx.spec.resolve import local
from mlcx.spec.rules import Checked
from mlcx.spec.source import Steps, quote

__all__ = [
    "REFERENCES",
    "RUNNABLE",
    "no_text",
    "obstacle",
    "of_model",
    "of_verify",
    "reference_lacks",
]

REFERENCES = ("q0f32", "q0f16", "q0bf16")
"""How a checkpoint may be run that libraries are held against: as in the schemas."""

RUNNABLE = frozenset({"cpu"})
"""Devices that mlcx can run a library on."""

_TOKENIZERS = (
    TOKENIZER,
    "tokenizer.model",
    "merges.txt",
    "*.tiktoken",
    "rwkv_vocab_v*",
)
"""A model has one of these when it can read a text."""
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
"""Other names of an architecture to the usual ones."""

_SYSTEMS = {"linux": "linux", "darwin": "apple", "win32": "windows"}
"""What Python calls a system to what a triple calls it."""


def of_verify(
    checked: Checked, steps: Steps, owner: dict[str, Any], key: str = "verify"
) -> Iterator[Problem]:
    """Refuse a ``verify`` of ``owner`` that asks for nothing, or names no file."""
    if not checked.has(steps, owner, key) or owner[key] is None:
        return
    verify, at = owner[key], (*steps, key)
    if "max_kl" not in verify and "min_top1" not in verify:
        message = f'{key}: expected "max_kl" or "min_top1", found neither: add one'
        yield checked.source.problem(at, message)
    if "text" in verify and (why := no_text(local(checked.folder, verify["text"]))):
        yield checked.source.problem((*at, "text"), why)


def no_text(path: Path) -> str:
    """Say why ``path`` is no text to compare on; empty: it is one."""
    if found := found_instead(path):
        return f"{path}: expected a file, found {found}"
    if not is_file(path):
        return f"there is no file {path}"
    try:
        if not path.read_bytes().decode():
            return f"{path} is empty"
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    except UnicodeDecodeError:
        return f"{path} is no UTF-8 text"
    return ""


def of_model(
    checked: Checked, at: Steps, verify: dict[str, Any], model: ModelFolder
) -> Iterator[Problem]:
    """Refuse to verify libraries of ``model`` against what it does not have."""
    reads = "text" in verify
    missing = reference_lacks(model.place, model.config, reads=reads)
    if missing:
        yield checked.source.problem(at, f"verify: {missing}")


def reference_lacks(model: Place, config: Mapping[str, Any], *, reads: bool) -> str:
    """Say why ``model`` cannot be a reference; empty when it can.

    Args:
        model: A model.
        config: Its own.
        reads: It is to read a text.
    """
    if model.kind == "mlc":
        return (
            f"{model} is an MLC model directory, so there are no weights from before "
            "quantization to compare with: name a checkpoint, or remove this"
        )
    if config.get(KEY):
        return (
            f"the weights of {model} are quantized already, so there are none from "
            "before quantization to compare with: name the original checkpoint, or "
            "remove this"
        )
    if missing := lacks(model):
        return f"there are no weights to run: {missing}"
    if reads and not _has_tokenizer(model):
        found = f"{model} has no {_TOKENIZERS[0]} to read a text with"
        return f"{found}: add it, or remove text and compare on ids drawn at random"
    return ""


def _has_tokenizer(model: Place) -> bool:
    return any(map(model.has, _TOKENIZERS))


def obstacle(device: Device, option: dict[str, Any]) -> str:
    """Say why a library cannot be run on this machine; empty when it can.

    Args:
        device: That it is compiled for.
        option: Names its host, if not this machine.
    """
    if device.name not in RUNNABLE:
        known = " and ".join(sorted(RUNNABLE))
        return f"cannot verify {device.name} on this machine: mlcx runs {known}"
    host = option.get("host", DEFAULTS["host"])
    if host != DEFAULTS["host"] and not _is_here(host):
        here = f"{platform.machine()} {sys.platform}"
        return f"cannot verify the host {quote(host)} on this machine, a {here}"
    return ""


def _is_here(host: str) -> bool:
    machine, _, rest = host.partition("-")
    names = {_usual(machine), _usual(platform.machine())}
    system = _SYSTEMS.get(sys.platform, sys.platform)
    return len(names) == 1 and system in rest and "android" not in rest


def _usual(machine: str) -> str:
    name = machine.lower()
    return _MACHINES.get(name, name)
