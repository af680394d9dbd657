"""The verb that checks what a build made, anywhere and offline."""

from __future__ import annotations

import argparse
from pathlib import Path

__all__ = ["verify", "verify_arguments"]

_UNCHECKED = (
    "{}, such as {}: not checked, as only a manifest has hashes of these: build it "
    "with mlcx package --manifest, mlcx deliver --manifest or scons MANIFEST=1"
)


def verify_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``verify``."""
    parser.add_argument(
        "folder", type=Path, metavar="DIR", help="a delivery, or a bundle of one model"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def verify(args: argparse.Namespace) -> int:
    """Check every file of a delivery or a bundle against what lists it.

    manifest.json gives sizes and sha256, tensor-cache.json those of weights. Exits with
    1 when a file is missing, extra or changed.
    """
    import json
    import sys
    from dataclasses import asdict

    from mlcx.manifest.check import check, printable
    from mlcx.report.units import size

    found = check(args.folder)
    if args.json:
        print(json.dumps({"ok": not found.findings, **asdict(found)}, indent=2))
        return 1 if found.findings else 0
    if found.building:
        print(f"mlcx: a build is going on in {args.folder}", file=sys.stderr)
    for each in found.findings:
        print(f"mlcx: {each}", file=sys.stderr)
    wrong = len({each.file for each in found.findings})
    state = f"{wrong} wrong" if wrong else "as it should be"
    sources, files = ", ".join(found.against), _files(found.files)
    line = f"{args.folder}: {files}, {size(found.bytes)}: {state} ({sources})"
    print(printable(line))
    if found.unchecked:
        count, example = _files(len(found.unchecked)), printable(found.unchecked[0])
        print(_UNCHECKED.format(count, example))
    return 1 if found.findings else 0


def _files(count: int) -> str:
    return f"{count} file{'s' * (count != 1)}"
