"""The verbs that lay out what an app takes, and those that run a whole build."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mlcx.cli.count import count
from mlcx.cli.model import REMOTE, folder_of
from mlcx.cli.output import FOLDER, output_argument
from mlcx.errors import UsageError
from mlcx.spec.devices import DEVICES

if TYPE_CHECKING:
    from mlcx.spec.types import Plan

__all__ = [
    "app_config",
    "app_config_arguments",
    "bundle",
    "bundle_arguments",
    "deliver",
    "deliver_arguments",
    "package",
    "package_arguments",
    "static_lib",
    "static_lib_arguments",
]


_ARCHIVE = ".a"


def bundle_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``bundle``."""
    parser.add_argument(
        "model", metavar="MODEL_DIR", help=f"a complete model directory, or {REMOTE}"
    )
    output_argument(parser, FOLDER, "folder to make")


def bundle(args: argparse.Namespace) -> int:
    """Lay out a model directory for an app."""
    from mlcx.package.bundle import bundle as lay_out

    lay_out(folder_of(args.model, kind="mlc"), args.output)
    return 0


def app_config_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``app_config``."""
    parser.add_argument("spec", type=Path, metavar="SPEC", help="a package config")
    parser.add_argument(
        "--library",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="library of the app, called by its model_lib; says what memory it takes",
    )
    output_argument(parser, "FILE", "file to make")


def app_config(args: argparse.Namespace) -> int:
    """Write the app config of a package config."""
    from mlcx.package.app_config import with_memory, write_app_config

    plan = _load(args.spec, "package")
    libraries = {path.stem: path for path in args.library}
    sized = [with_memory(entry, libraries.get(entry.model_lib)) for entry in plan.app]
    write_app_config((entry for entry, _ in sized), args.output)
    for warning in filter(None, (warning for _, warning in sized)):
        print(f"mlcx: warning: {warning}", file=sys.stderr)
    return 0


def static_lib_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``static_lib``."""
    add = parser.add_argument
    add("libraries", type=Path, nargs="+", metavar="FILE.tar", help="model libraries")
    add(
        "--model-lib",
        action="append",
        default=[],
        metavar="NAME",
        help="name under which an app looks for one of them; must be there",
    )
    add(
        "--device",
        choices=[name for name, device in DEVICES.items() if device.static],
        help="what the app runs on, which all of them must be for",
    )
    output_argument(parser, "FILE.a", "archive to make")


def static_lib(args: argparse.Namespace) -> int:
    """Archive model libraries for an app, and say what their symbols begin with."""
    from mlcx.package.static_lib import make_static_lib

    if args.output.suffix != _ARCHIVE:
        found = args.output.name
        raise UsageError(f"--output: an archive ends in {_ARCHIVE}, found {found}")
    prefixes = make_static_lib(args.libraries, args.model_lib, args.output, args.device)
    print(f"{args.output}: {', '.join(prefixes)}")
    return 0


def package_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``package``."""
    from mlcx.cli.explain import USUAL

    parser.add_argument(
        "--package-config", type=Path, metavar="FILE", help=f"what to build ({USUAL})"
    )
    parser.add_argument(
        "--mlc-llm-source-dir",
        type=Path,
        metavar="DIR",
        help="MLC LLM's sources, or MLC_LLM_SOURCE_DIR: builds its runtime for phones",
    )
    _build_arguments(parser)


def package(args: argparse.Namespace) -> int:
    """Build all that a package config asks for."""
    from mlcx.cli.explain import usual_spec

    spec = args.package_config or usual_spec()
    _pin(spec, silent=args.silent)
    plan = _load(spec, "package")
    if args.mlc_llm_source_dir is not None:
        os.environ["MLC_LLM_SOURCE_DIR"] = str(args.mlc_llm_source_dir.absolute())
    _check_sources(plan, os.environ)
    return _run(spec, args)


def _check_sources(plan: Plan, environ: Mapping[str, str]) -> None:
    """Refuse sources of MLC LLM that are none, before anything is built."""
    from mlcx.steps.phone import remains

    remains(plan, environ)


def deliver_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``deliver``."""
    either = parser.add_mutually_exclusive_group(required=True)
    add, meaning = either.add_argument, "delivery spec to build"
    add("file", type=Path, nargs="?", metavar="FILE", help=meaning)
    add("--spec", type=Path, metavar="FILE", help="the same")
    _build_arguments(parser)


def deliver(args: argparse.Namespace) -> int:
    """Build all that a delivery spec asks for."""
    spec = args.spec or args.file
    _pin(spec, silent=args.silent)
    _load(spec, "delivery")
    return _run(spec, args)


def _build_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what any build may be told."""
    from mlcx.cli.explain import folder_arguments

    add, either = parser.add_argument, parser.add_mutually_exclusive_group()
    folder_arguments(parser, either)
    either.add_argument(
        "--check-reproducible",
        action="store_true",
        help="build twice, elsewhere, and name the first bytes that differ",
    )
    add("-j", "--jobs", type=count(), default=1, metavar="N", help="steps at a time")
    add("-k", "--keep-going", action="store_true", help="go on after a failure")
    add("-s", "--silent", action="store_true", help="say only what goes wrong")
    add(
        "--memory",
        default="",
        metavar="SIZE",
        help="most that steps take at a time, such as 8G; default: what is free",
    )
    add(
        "--manifest",
        action="store_true",
        help="list what was made, with hashes, in manifest.json beside it",
    )


def _words(args: argparse.Namespace) -> list[str]:
    """Return what SCons is told of ``args``, but how many steps run at a time.

    Raises:
        UsageError: One has no meaning.
    """
    from mlcx.scons.memory import parse

    parse(args.memory, "--memory")
    asked = {
        "-k": args.keep_going,
        "-s": args.silent,
        "MANIFEST=1": args.manifest,
        f"MEMORY={args.memory}": bool(args.memory),
    }
    words = [word for word, is_asked in asked.items() if is_asked]
    return [*words, f"OUTPUT={args.output}", f"BUILD={args.build}"]


def _load(spec: Path, kind: str) -> Plan:
    from mlcx.spec import load
    from mlcx.spec.types import KINDS

    plan = load(spec)
    if plan.kind != kind:
        expected = KINDS[kind]
        raise UsageError(f"{spec}: expected a {expected}, found a {plan.kind_name}")
    return plan


def _pin(spec: Path, *, silent: bool) -> None:
    from mlcx.scons.pinning import pin_models
    from mlcx.scons.progress import Console

    pin_models(spec, os.environ, Console(silent=silent))


def _run(spec: Path, args: argparse.Namespace) -> int:
    """Build ``spec``, once or, to compare, twice."""
    words = _words(args)
    if not args.check_reproducible:
        return _build(spec, [f"-j{args.jobs}", *words])
    from mlcx.cli.reproducible import check

    def build(folder: Path, own: list[str], environ: Mapping[str, str]) -> int:
        return _build(spec.absolute(), ["-C", str(folder), *own, *words], environ)

    return check(build, args.jobs)


def _build(
    spec: Path, options: list[str], environ: Mapping[str, str] | None = None
) -> int:
    """Run SCons on ``spec`` in the current folder; with ``environ`` beside this."""
    from mlcx.policy import policy
    from mlcx.scons.run import run, run_beside

    policy(environ or os.environ)
    words = [*options, f"SPEC={spec}"]
    if environ is None:
        return run("SConstruct", words)
    return run_beside("SConstruct", words, environ)
