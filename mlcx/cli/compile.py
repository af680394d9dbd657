"""The verbs ``normalize`` and ``compile``: from a model's config to a library."""

from __future__ import annotations

import argparse
import time
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from mlcx import progress
from mlcx.artifact import MODEL_CONFIG
from mlcx.cli.model import given, model_arguments
from mlcx.cli.output import output_argument
from mlcx.cli.quantization import quantization_argument
from mlcx.cli.targets import described, host_of
from mlcx.cli.web_runtime import announce
from mlcx.errors import UsageError
from mlcx.spec.devices import ALIASES, DEVICES, Device
from mlcx.spec.opt import canonical
from mlcx.spec.options import DEFAULTS, archs_for, host_for
from mlcx.spec.prefix import automatic, canonical_prefix
from mlcx.toolchain.needs import require
from mlcx.toolchain.products import STATIC
from mlcx.toolchain.triple import parse

if TYPE_CHECKING:
    from mlcx.compiler.compile_config import CompileConfig

__all__ = ["compile", "compile_arguments", "normalize", "normalize_arguments"]

_AUTO = "auto"
_SUBGROUPS = "webgpu:subgroups"
_WEB = ".wasm"
_OPT = "O0 to O3, or FLAG=VALUE;…: which of a GPU's libraries to use; the cpu has none"


def _model_arguments(parser: argparse.ArgumentParser) -> None:
    meaning = "folder with mlc-chat-config.json or config.json, or such a file"
    model_arguments(parser, "model", meaning)
    quantization_argument(parser, required=False)
    parser.add_argument(
        "--overrides",
        default="",
        metavar="K=V;K=V",
        help="fields of the config to replace, such as context_window_size=2048",
    )


def normalize_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``normalize``."""
    _model_arguments(parser)
    output_argument(parser, "FILE", "compile-config.json to write")


def normalize(args: argparse.Namespace) -> int:
    """Write ``compile-config.json``; an equal one stays untouched."""
    config = _load(args)
    config.save(args.output)
    return 0


def compile_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``compile``."""
    _model_arguments(parser)
    _device_arguments(parser)
    _library_arguments(parser)
    output_argument(parser, "FILE", "library to write")


def _device_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what a library is for."""
    add = parser.add_argument
    presets = ", ".join(DEVICES)
    meaning = f"preset, or a target as TVM takes it, by tag or as JSON: {presets}"
    add("--device", default="cpu", metavar="D", help=meaning)
    add("--opt", default=DEFAULTS["opt"], help=_OPT)
    add(
        "--host",
        default=DEFAULTS["host"],
        metavar="TRIPLE",
        help="LLVM triple of the machine that runs the library; auto: the "
        "device's own, else this one's",
    )
    add(
        "--mcpu",
        default=DEFAULTS["mcpu"],
        metavar="CPU",
        help="LLVM name of its CPU; auto: this one's, a baseline when a host is named",
    )
    add(
        "--archs",
        metavar="LIST",
        help="architectures of CUDA to compile kernels for, such as sm_80,sm_90a; "
        "default: what MLC_MULTI_ARCH names, else the device's own",
    )
    add(
        "--enable-subgroups",
        action="store_true",
        help=f"for the device webgpu: the same as the device {_SUBGROUPS}",
    )


def _library_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what a library is called inside and made of, beside the model."""
    add = parser.add_argument
    add(
        "--system-lib-prefix",
        default=_AUTO,
        metavar="P",
        help="what symbols of a static library (.tar, .a) begin with; auto: the "
        "architecture and the quantization; empty: none",
    )
    add(
        "--web-runtime",
        type=Path,
        metavar="FILE",
        help="object of web_runtime for a library in .wasm; default: the one kept for "
        "this user, made where there is none",
    )
    add(
        "--debug-dump",
        type=Path,
        metavar="DIR",
        help="folder for the module after each phase of the compiler",
    )


def compile(args: argparse.Namespace) -> int:  # noqa: A001 (the verb's name)
    """Compile a library and its description."""
    begun = time.perf_counter()
    name, host = _name(args), args.host
    preset = DEVICES.get(name)
    if preset is not None:  # then what is missing is said before TVM is loaded
        host = preset.host_for(host_for(preset, host))
        _check(args, preset, host, archs_for(preset, args.archs))
    progress.say("loading TVM")
    from mlcx.compiler import rocm

    with rocm.quiet(name):
        _compile(args, name, host)
    size, seconds = args.output.stat().st_size, time.perf_counter() - begun
    print(f"{args.output}: {size} bytes, {seconds:.1f} s")
    return 0


def _compile(args: argparse.Namespace, name: str, host: str) -> None:
    """Compile for a device, a preset or not, to be run on ``host``."""
    from mlcx.compiler.build import Options, compile_library
    from mlcx.compiler.cuda.archs import archs_of, with_archs
    from mlcx.compiler.targets import target_of

    preset = DEVICES.get(name)
    target = target_of(name, host, args.mcpu)
    device = preset or described(name, target)
    if archs := archs_for(device, args.archs):
        target = with_archs(target, archs)
    if preset is None:
        _check(args, device, host_of(target), archs_of(target))
    opt = canonical(args.opt, device)
    config = _load(args)
    prefix = _prefix(args, config)
    runtime = _web_runtime(args)
    options = Options(name, target, opt, prefix, args.debug_dump, runtime)
    compile_library(config, options, args.output, progress.say)


def _name(args: argparse.Namespace) -> str:
    """Return the preset that the arguments mean, or the target that they describe."""
    given: str = args.device.removesuffix(":generic")
    name = ALIASES.get(given, given)
    if not args.enable_subgroups:
        return name
    if name not in ("webgpu", _SUBGROUPS):
        raise UsageError(f"--enable-subgroups: {name} has none, only webgpu has")
    return _SUBGROUPS


def _check(
    args: argparse.Namespace, device: Device, host: str, archs: Collection[str]
) -> None:
    """Refuse what cannot be made, and what a tool is missing for."""
    _check_output(args, device)
    require(device.name, device.kind, parse(host), args.output.suffix, archs)


def _check_output(args: argparse.Namespace, device: Device) -> None:
    suffixes = device.suffixes(args.host)
    if args.output.suffix not in suffixes:
        made, found = " or ".join(suffixes), args.output.name
        raise UsageError(f"--output: {device.name} makes {made}, found {found}")
    given = args.system_lib_prefix not in (_AUTO, "")
    if given and args.output.suffix not in STATIC:
        message = f"--system-lib-prefix: {args.output.name} is no static library"
        raise UsageError(f"{message}, which end in {' or '.join(STATIC)}")


def _prefix(args: argparse.Namespace, config: CompileConfig) -> str | None:
    """Return the prefix of the library's symbols; None: it is no static library."""
    if args.output.suffix == _WEB:
        # One is all that a page has, and it is looked up without a prefix.
        return ""
    if args.output.suffix not in STATIC:
        return None
    if args.system_lib_prefix == _AUTO:
        return automatic(config.model_type, config.quantization)
    return canonical_prefix(args.system_lib_prefix)


def _web_runtime(args: argparse.Namespace) -> Path | None:
    """Return the runtime to link; None: the library is not for the web."""
    from mlcx.web.kept import kept
    from mlcx.web.pieces import given_bitcode

    given: Path | None = args.web_runtime
    if args.output.suffix != _WEB:
        if given:
            raise UsageError(f"--web-runtime: {args.output.name} is not for the web")
        return None
    if given and not given.is_file():
        raise UsageError(f"--web-runtime: {given}: no such file")
    return given or kept(given_bitcode(), announce)


def _load(args: argparse.Namespace) -> CompileConfig:
    from mlcx.compiler.compile_config import CompileConfig, find, parse_overrides
    from mlcx.quant.chosen import chosen

    model = given(args.model, args.model_type)
    config = find(model.path)
    return CompileConfig.load(
        config,
        quantization=chosen(args.quantization) if args.quantization else None,
        model_type=model.model_type,
        overrides=parse_overrides(args.overrides),
        tokens=_tokens(config.parent) if config.name == MODEL_CONFIG else None,
    )


def _tokens(checkpoint: Path) -> int | None:
    from mlcx.package.tokenizer_files import inspect

    return inspect(checkpoint, lambda _: None).size
