"""What a library will say of its making."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from tvm.target import Target

from mlcx import __version__
from mlcx.architectures.overriding import OVERRIDES
from mlcx.compiler.compile_config import CompileConfig
from mlcx.compiler.targets import required_features
from mlcx.stamp import Stamp

__all__ = ["stamp_of"]

_IMPLIED = ("tag", "keys")
"""Attributes of a target that follow from the others."""


def stamp_of(
    config: CompileConfig, device: str, target: Target, opt: str, prefix: str | None
) -> Stamp:
    """Return the stamp of a library, all but its ``abi``."""
    text = json.dumps(asdict(config), sort_keys=True)
    fields = config.model_config
    return Stamp(
        version=__version__,
        tvm=version("apache-tvm"),
        tvm_ffi=version("apache-tvm-ffi"),
        device=device,
        target=_attributes(json.loads(str(target))),
        cpu_features=tuple(required_features(target)),
        opt=opt,
        system_lib_prefix=prefix,
        recipe=config.quantization_recipe,
        overrides={key: fields[key] for key in OVERRIDES if key in fields},
        config_sha256=hashlib.sha256(text.encode()).hexdigest(),
    )


def _attributes(target: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _attributes(value) if isinstance(value, dict) else value
        for key, value in target.items()
        if key not in _IMPLIED
    }
