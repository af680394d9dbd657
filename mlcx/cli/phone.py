"""``prepare_libs``: MLC LLM's runtime for an app on a phone."""

from __future__ import annotations

import argparse
from pathlib import Path

from mlcx.cli.output import FOLDER, output_argument
from mlcx.errors import UsageError

__all__ = ["prepare_libs", "prepare_libs_arguments"]


def prepare_libs_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``prepare_libs``."""
    add = parser.add_argument
    add("archive", type=Path, metavar="FILE.a", help="the static library of the models")
    add(
        "--script",
        type=Path,
        required=True,
        metavar="FILE",
        help="ios/prepare_libs.sh or android/mlc4j/prepare_libs.py of MLC LLM",
    )
    add("--work", type=Path, required=True, metavar="DIR", help="folder to build in")
    add("--arch", choices=("arm64", "x86_64"), help="build for Mac Catalyst on this")
    add("--deployment-target", default="18.0", metavar="V", help="of Mac Catalyst")
    add("--app-config", type=Path, metavar="FILE", help="for Android: its asset")
    output_argument(parser, FOLDER, "folder of the app")


def prepare_libs(args: argparse.Namespace) -> int:
    """Build MLC LLM's runtime for an app and lay it out."""
    from mlcx.package.prepare_libs import prepare_android, prepare_ios

    script, work = args.script.absolute(), args.work.absolute()
    if script.suffix == ".sh":
        catalyst = (args.arch, args.deployment_target) if args.arch else None
        prepare_ios(script, catalyst, work, args.output)
        return 0
    if args.app_config is None:
        raise UsageError("for Android, give --app-config mlc-app-config.json")
    prepare_android(args.archive, script, args.app_config, work, args.output)
    return 0
