"""The verbs for models from the hub: ``lock`` pins them, ``fetch`` brings them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlcx.cli.download import obtain, pinned
from mlcx.errors import UsageError

if TYPE_CHECKING:
    from mlcx.spec.hub import Repository
    from mlcx.spec.lock import LockedModel

__all__ = ["fetch", "fetch_arguments", "lock", "lock_arguments"]

_ALL = "all"


def lock_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``lock``."""
    parser.description = (
        "Write down in mlcx.lock.json, beside each spec, which commit each of its "
        "models from the hub is, and the size and SHA-256 of each file that a build "
        "needs. What is pinned already stays as it is, unless --update."
    )
    parser.add_argument(
        "specs",
        nargs="*",
        type=Path,
        metavar="SPEC",
        help="package configs and delivery specs (default: mlc-package-config.json)",
    )
    parser.add_argument(
        "--update",
        action="append",
        nargs="?",
        const=_ALL,
        metavar="REPO",
        help="pin this model, such as user/repository, to what it is now; all of them "
        "when none is named",
    )


def lock(args: argparse.Namespace) -> int:
    """Pin the models of specs, and drop those that no spec of the command names."""
    from mlcx.spec.models import remote_models

    update = _updates(args.update or [])
    named = {
        spec: remote_models(spec)
        for spec in args.specs or [Path("mlc-package-config.json")]
    }
    known = {each.key for models in named.values() for each in models}
    known |= {each.id for models in named.values() for each in models}
    for each in update - {_ALL} - known:
        listed = ", ".join(sorted(known)) or "none"
        raise UsageError(f"--update: no spec names {each}: they name {listed}")
    for spec, models in named.items():
        _lock(spec, models, update)
    return 0


def _updates(given: Sequence[str]) -> set[str]:
    return {each.removeprefix("HF://") for each in given}


def _lock(spec: Path, models: Sequence[Repository], update: set[str]) -> None:
    from mlcx.spec.lock import LOCK

    file = spec.parent / LOCK
    for model in models:
        again = bool({_ALL, model.key, model.id} & update)
        before, now = pinned(file, model, again)
        if before is None:
            print(f"{file}: {model} is {_summary(now)}")
        elif before != now:
            change = f"from {before.commit[:12]} to {now.commit[:12]}"
            print(f"{file}: {model} moved {change}: {_summary(now)}")
        else:
            print(f"{file}: {model} stays at {now.commit[:12]}")
    if not models:
        print(f"{spec}: no models from the hub")


def _summary(model: LockedModel) -> str:
    size = sum(each.size for each in model.files)
    return f"commit {model.commit[:12]}, {len(model.files)} files, {size} bytes"


def fetch_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``fetch``."""
    parser.description = (
        "Bring the files of a pinned model here, verified. What is here already is not "
        "downloaded again, a download that was cut off goes on where it was."
    )
    add = parser.add_argument
    add(
        "model",
        metavar="REPO[@COMMIT]",
        help="such as user/repository@revision, as mlcx.lock.json has it; else the "
        "hub is asked what it is",
    )
    add("--lock", type=Path, metavar="FILE", help="the lock file that pins it")
    add(
        "--part",
        choices=["texts", "weights", _ALL],
        default=_ALL,
        help="texts: what compiling and tokenizers need",
    )
    add(
        "-o",
        "--output",
        type=Path,
        metavar="DIR",
        help="folder for the files (default: one for the commit, below MLC_LLM_HOME)",
    )


def fetch(args: argparse.Namespace) -> int:
    """Bring the files of a model here, and say where they are."""
    print(obtain(args.model, args.part, args.lock, args.output))
    return 0
