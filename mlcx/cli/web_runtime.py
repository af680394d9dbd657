"""The verb ``web_runtime``: TVM's runtime for browsers, as one object."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from mlcx.artifact import replacing
from mlcx.cli.output import output_argument
from mlcx.errors import UsageError

__all__ = ["announce", "web_runtime", "web_runtime_arguments"]


def web_runtime_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``web_runtime``."""
    parser.add_argument(
        "bitcode",
        type=Path,
        nargs="*",
        metavar="BITCODE",
        help="what to make it of, complete, instead of the sources in TVM's wheel; "
        "none: what MLC_LLM_SOURCE_DIR and TVM_HOME lead to",
    )
    output_argument(parser, "FILE", "object to write, for compile --web-runtime")


def web_runtime(args: argparse.Namespace) -> int:
    """Write the runtime, which is made once for a user and copied from then on."""
    from mlcx.toolchain.needs import WEB_RUNTIME, require_tools
    from mlcx.web.kept import kept
    from mlcx.web.pieces import check_bitcode, given_bitcode

    if args.output.suffix != ".o":
        raise UsageError(f"--output: expected a name in .o, found {args.output.name}")
    begun = time.perf_counter()
    require_tools("web_runtime", WEB_RUNTIME)
    check_bitcode(args.bitcode)
    path = kept(args.bitcode or given_bitcode(), announce)
    with replacing(args.output) as temporary:
        temporary.write_bytes(path.read_bytes())
    size, seconds = args.output.stat().st_size, time.perf_counter() - begun
    print(f"{args.output}: {size} bytes, {seconds:.1f} s")
    return 0


def announce(path: Path) -> None:
    """Say why the next minutes pass."""
    print(f"compiling TVM's web runtime, once, to {path}: minutes", file=sys.stderr)
