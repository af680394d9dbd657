"""``prebuilt``: take over a library that was compiled elsewhere."""

from __future__ import annotations

import argparse
from pathlib import Path

from mlcx.cli.output import output_argument
from mlcx.errors import UsageError
from mlcx.spec.devices import DEVICES
from mlcx.spec.options import DEFAULTS
from mlcx.toolchain.triple import AUTO

__all__ = ["prebuilt", "prebuilt_arguments"]


def prebuilt_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``prebuilt``."""
    add = parser.add_argument
    add("library", type=Path, metavar="FILE", help="a model library")
    add("--device", metavar="D", help="preset that it must be for; default: any")
    add(
        "--host",
        default=DEFAULTS["host"],
        metavar="TRIPLE",
        help="LLVM triple of the machine that runs it; auto: the device's own, else "
        "any",
    )
    add(
        "--model",
        type=Path,
        action="append",
        metavar="FILE",
        help="mlc-chat-config.json or config.json of a model that runs by it",
    )
    add(
        "--quantization",
        action="append",
        metavar="Q",
        help="once for each --model: its scheme, or a recipe as JSON; auto: as the "
        "config says",
    )
    output_argument(parser, "FILE", "file to make")


def prebuilt(args: argparse.Namespace) -> int:
    """Take over a library, if it is what it is said to be."""
    from mlcx.package.ready_made import Wanted, take_over

    if args.device is not None and args.device not in DEVICES:
        raise UsageError.unknown("device", args.device, DEVICES)
    models, schemes = args.model or [], args.quantization or []
    if len(schemes) not in (0, len(models)):
        found = f"{len(models)} --model and {len(schemes)} --quantization"
        raise UsageError(
            f"expected as many of both or no --quantization, found {found}"
        )
    pairs = zip(models, schemes or [AUTO] * len(models), strict=True)
    wanted = [Wanted(*pair) for pair in pairs]
    take_over(args.library, args.output, args.device, args.host, wanted)
    return 0
