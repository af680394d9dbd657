"""The verb that checks what a build made, anywhere and offline."""

from __future__ import annotations

import argparse
from pathlib import Path

__all__ = ["verify", "verify_arguments"]


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

    from mlcx.manifest.check import check

    found = check(args.folder)
    if args.json:
        print(json.dumps({"ok": not found.findings, **asdict(found)}, indent=2))
        return 1 if found.findings else 0
    for each in found.findings:
        print(f"mlcx: {each}", file=sys.stderr)
    sources = ", ".join(found.against)
    wrong = (
        f"{len({each.file for each in found.findings})} wrong"
        if found.findings
        else "all as they should be"
    )
    print(
        f"{args.folder}: {found.files} files, {found.bytes} bytes: {wrong} ({sources})"
    )
    return 1 if found.findings else 0
