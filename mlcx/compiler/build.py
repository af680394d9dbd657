"""Compile a model to a library: export, passes, code generation, linking."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import tvm
from tvm import relax
from tvm.target import Target

from mlcx import __version__
from mlcx.artifact import library_info, write_json, write_text
from mlcx.compiler.compile_config import CompileConfig
from mlcx.compiler.export import export
from mlcx.compiler.metadata import bounds, metadata
from mlcx.compiler.passes.attach_prefix import AttachPrefix
from mlcx.compiler.pipeline import Context, phases
from mlcx.compiler.targets import check_code_generator, required_features
from mlcx.errors import UsageError
from mlcx.models import architecture
from mlcx.quant import apply
from mlcx.toolchain.triple import parse

__all__ = ["Options", "compile_library"]

_PASS_CONFIG = {
    # Common-subexpression elimination leaves dangling variables in host code.
    "tirx.disable_cse_tir": True,
}

_DISABLED = [
    # Costs a tenth of a compile to shrink buffers that kernels make small already.
    "s_tir.CompactBufferAllocation",
    # These look for what only GPU kernels have.
    "s_tir.InjectPermutedLayout",
    "s_tir.InjectVirtualThread",
]


@dataclass(frozen=True)
class Options:
    """How to compile, beside what."""

    device: str
    target: Target
    opt: str
    system_lib_prefix: str | None = None
    """Of the symbols of a library that is linked into an app; None: it is loaded."""
    debug_dump: Path | None = None
    """Folder for the module after each phase."""


def compile_library(config: CompileConfig, options: Options, output: Path) -> None:
    """Write the library of ``config`` to ``output`` and its description beside it.

    Raises:
        BuildError: Linking failed, or TVM does not generate such code.
        UsageError: The model asks for what this device does not do.
    """
    check_code_generator(options.target)
    module, context = _trace(config, options.target)
    passes = tvm.transform.PassContext(
        opt_level=3, config=_PASS_CONFIG, disabled_pass=_DISABLED
    )
    with passes, options.target:
        module = _run_phases(module, context, options.debug_dump)
        if options.system_lib_prefix is not None:
            module = AttachPrefix(options.system_lib_prefix)(module)
        executable = relax.build(module, target=options.target, relax_pipeline=None)
    export(executable, output, parse(_host(options.target)))
    write_json(library_info(output), _describe(config, options))


def _host(target: Target) -> str:
    return str(target.host.attrs["mtriple"])


def _trace(config: CompileConfig, target: Target) -> tuple[tvm.IRModule, Context]:
    """Return the model's functions, and what the passes need to know of it."""
    _refuse_many_devices(config)
    family = architecture(config.model_type)
    chosen = config.scheme
    model = apply.build(family, family.Config.from_hf(config.model_config), chosen)
    module, params = model.export_tvm(model.functions(chosen.model_dtype))
    fields = config.model_config
    context = Context(
        target=target,
        dtype=chosen.model_dtype,
        hidden_size=model.hidden_size,
        vocab_size=fields["vocab_size"],
        active_vocab_size=config.active_vocab_size,
        bounds=bounds(fields),
        metadata=metadata(config, model.state_spec, params),
    )
    return module, context


def _refuse_many_devices(config: CompileConfig) -> None:
    if config.model_config.get("disaggregation"):
        raise UsageError("disaggregation is true: libraries are built without only")
    for key in ("tensor_parallel_shards", "pipeline_parallel_stages"):
        found = config.model_config.get(key, 1)
        if found != 1:
            raise UsageError(f"{key} is {found}: libraries are built for 1 only")


def _run_phases(
    module: tvm.IRModule, context: Context, dump: Path | None
) -> tvm.IRModule:
    for index, phase in enumerate(phases(context)):
        module = tvm.transform.Sequential(list(phase.passes))(module)
        if dump is not None:
            text = module.script(show_meta=True)
            write_text(dump / f"debug-phase{index}-{phase.name}.py", text)
    return module


def _describe(config: CompileConfig, options: Options) -> dict[str, Any]:
    text = json.dumps(asdict(config), sort_keys=True)
    return {
        "mlcx": __version__,
        "tvm": version("apache-tvm"),
        "tvm_ffi": version("apache-tvm-ffi"),
        "device": options.device,
        "target": str(options.target),
        "host": _host(options.target),
        "system_lib_prefix": options.system_lib_prefix,
        "cpu_features": required_features(options.target),
        "opt": options.opt,
        "model_type": config.model_type,
        "quantization": config.quantization,
        "config_sha256": hashlib.sha256(text.encode()).hexdigest(),
    }
