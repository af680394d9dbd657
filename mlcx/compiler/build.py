"""Compile a model to a library: export, passes, code generation, linking."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import tvm
from tvm import relax
from tvm.target import Target

from mlcx.architectures import architecture
from mlcx.architectures.overriding import unbuildable
from mlcx.artifact import write_text
from mlcx.compiler import rocm
from mlcx.compiler.compile_config import CompileConfig
from mlcx.compiler.cuda.archs import scheduling_target
from mlcx.compiler.cuda.imports import check_compiler, source_only
from mlcx.compiler.export import export
from mlcx.compiler.metadata import bounds, metadata
from mlcx.compiler.passes.attach_prefix import AttachPrefix
from mlcx.compiler.passes.trust_callers import PIPELINE
from mlcx.compiler.pipeline import Context, phases
from mlcx.compiler.stamping import stamp_of
from mlcx.compiler.targets import check_code_generator
from mlcx.errors import UsageError
from mlcx.quant import apply

__all__ = ["Options", "compile_library"]

_PASS_CONFIG = {
    # Common-subexpression elimination leaves dangling variables in host code.
    "tirx.disable_cse_tir": True,
}

_CAPTURE = "relax.backend.use_cuda_graph"
"""Without it, the pass that captures graphs does nothing."""

_NOT_FOR_CPUS = [
    # Costs a tenth of a compile to shrink buffers that kernels make small already.
    "s_tir.CompactBufferAllocation",
    # Another tenth; the code comes out the same, as LLVM does what they do.
    "s_tir.InsertHoistIfThenElse",
    "s_tir.RenormalizeSplitPattern",
    "tirx.RemoveNoOp",
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
    web_runtime: Path | None = None
    """The runtime, which a library for the web holds."""


def compile_library(
    config: CompileConfig,
    options: Options,
    output: Path,
    say: Callable[[str], object] = lambda _: None,
) -> None:
    """Write the library of ``config`` to ``output``.

    Args:
        config: Of the model.
        options: How to compile it.
        output: The file to write.
        say: Is told what is done next.

    Raises:
        BuildError: Linking failed, TVM does not generate such code, or what compiles
            it further is not installed.
        UsageError: The model asks for what this device does not do.
    """
    check_code_generator(options.target)
    check_compiler(options.target)
    rocm.prepare(options.target)
    target = scheduling_target(options.target)
    say("building the model")
    module, context = _trace(config, options, target)
    disabled = _NOT_FOR_CPUS if target.kind.name == "llvm" else []
    chosen = {**_PASS_CONFIG, _CAPTURE: context.cuda_graph}
    passes = tvm.transform.PassContext(
        opt_level=3, config=chosen, disabled_pass=disabled
    )
    with passes, target, source_only():
        module = _run_phases(module, context, options.debug_dump, say)
        # TVM attaches the empty prefix by itself, and cannot read a short one.
        if options.system_lib_prefix:
            module = AttachPrefix(options.system_lib_prefix)(module)
        say("generating code")
        executable = relax.build(
            module,
            target=target,
            relax_pipeline=None,
            tir_pipeline=PIPELINE,
            system_lib=options.system_lib_prefix == "",
        )
    say("linking")
    beside = [options.web_runtime] if options.web_runtime else []
    export(executable, output, options.target, beside)


def _trace(
    config: CompileConfig, options: Options, target: Target
) -> tuple[tvm.IRModule, Context]:
    """Return the model's functions, and what the passes need to know of it.

    Args:
        config: Of the model.
        options: What the library says of its making.
        target: What kernels are made for.
    """
    for key, why in unbuildable(config.model_config):
        raise UsageError(f"{key}: {why}")
    family = architecture(config.model_type)
    chosen = config.scheme
    model = apply.build(family, family.Config.from_hf(config.model_config), chosen)
    module, params = model.export_tvm(model.functions(chosen.model_dtype))
    fields = config.model_config
    stamp = stamp_of(
        config,
        options.device,
        options.target,
        options.opt,
        options.system_lib_prefix,
    )
    context = Context(
        target=target,
        dtype=chosen.model_dtype,
        hidden_size=model.hidden_size,
        vocab_size=fields["vocab_size"],
        active_vocab_size=config.active_vocab_size,
        bounds=bounds(fields),
        cuda_graph="cudagraph=1" in options.opt.split(";"),
        metadata=metadata(config, stamp, model.state_spec, params),
    )
    return module, context


def _run_phases(
    module: tvm.IRModule,
    context: Context,
    dump: Path | None,
    say: Callable[[str], object],
) -> tvm.IRModule:
    chosen = phases(context)
    for index, phase in enumerate(chosen):
        say(f"passes: {phase.name} ({index + 1} of {len(chosen)})")
        module = tvm.transform.Sequential(list(phase.passes))(module)
        if dump is not None:
            text = module.script(show_meta=True)
            write_text(dump / f"debug-phase{index}-{phase.name}.py", text)
    return module
