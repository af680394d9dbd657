"""The verbs for models from the hub: ``lock`` pins them, ``fetch`` brings them."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlcx.cli.download import drop, obtain, pinned
from mlcx.cli.output import FOLDER, output_argument
from mlcx.errors import UsageError
from mlcx.report.units import size

if TYPE_CHECKING:
    from mlcx.spec.hub import Repository
    from mlcx.spec.lock import LockedModel

__all__ = ["fetch", "fetch_arguments", "lock", "lock_arguments"]

_ALL = "all"


def lock_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``lock``."""
    from mlcx.cli.explain import USUAL

    parser.description = (
        "Write down in mlcx.lock.json, beside each spec, which commit each of its "
        "models from the hub is, and the size and SHA-256 of each file that a build "
        "needs. What is pinned already stays as it is, unless --update. What neither "
        "these specs nor another JSON file of the folder name is dropped."
    )
    parser.add_argument(
        "specs",
        nargs="*",
        type=Path,
        metavar="SPEC",
        help=f"package configs and delivery specs ({USUAL})",
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
    parser.add_argument(
        "--check",
        action="store_true",
        help="change nothing and ask nobody; exit with 1 if a model is not pinned, or "
        "one would be dropped",
    )


def lock(args: argparse.Namespace) -> int:
    """Pin the models of specs, and drop those that no spec of the folder names."""
    from mlcx.cli.explain import usual_spec
    from mlcx.spec.lock import LOCK
    from mlcx.spec.models import remote_models

    specs = args.specs or [usual_spec()]
    named = {spec: remote_models(spec) for spec in specs}
    update = _updates(args.update or [], named.values())
    if args.check and update:
        raise UsageError("--check changes nothing: remove --update")
    wanted: dict[Path, dict[Repository, None]] = {}
    for spec, models in named.items():
        if not models:
            print(f"{spec}: no models from the hub")
        wanted.setdefault(spec.parent / LOCK, {}).update(dict.fromkeys(models))
    if args.check:
        way_out = shlex.join(["mlcx", "lock", *map(str, args.specs)])
        faults = [_check(file, list(each), way_out) for file, each in wanted.items()]
        return 1 if any(faults) else 0
    for file, each in wanted.items():
        _lock(file, list(each), update)
    return 0


def _updates(given: Sequence[str], named: Iterable[Iterable[Repository]]) -> set[str]:
    """Return what to pin again.

    Raises:
        UsageError: No spec names one of them.
    """
    update = {each.removeprefix("HF://") for each in given}
    models = [each for listed in named for each in listed]
    known = {each.key for each in models} | {each.id for each in models}
    for each in update - {_ALL} - known:
        listed = ", ".join(sorted(known)) or "none"
        raise UsageError(f"--update: no spec names {each}: they name {listed}")
    return update


def _lock(file: Path, models: Sequence[Repository], update: set[str]) -> None:
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
    unused = _unused(file, models)
    if unused:
        drop(file, {model.key for model in unused})
    for model in unused:
        print(f"{file}: {model} is dropped, no spec here names it")


def _check(file: Path, models: Sequence[Repository], way_out: str) -> bool:
    """Say what the command ``way_out`` would do to ``file``; whether it is anything."""
    from mlcx.spec.lock import read

    known = read(file)
    missing = [f"{each} is not pinned" for each in models if each.key not in known]
    unused = [f"{each} is named by no spec here" for each in _unused(file, models)]
    for fault in (*missing, *unused):
        print(f"{file}: {fault}: run {way_out}")
    return bool(missing or unused)


def _unused(file: Path, models: Sequence[Repository]) -> list[Repository]:
    """Return what ``file`` pins that neither is in ``models`` nor may be elsewhere."""
    from mlcx.spec.lock import read
    from mlcx.spec.models import mentioned

    others = [each.repository for each in read(file).values()]
    others = [each for each in others if each not in models]
    used = mentioned(file.parent, others)
    return [each for each in others if each not in used]


def _summary(model: LockedModel) -> str:
    whole = size(sum(each.size for each in model.files))
    return f"commit {model.commit[:12]}, {len(model.files)} files, {whole}"


def fetch_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``fetch``."""
    from mlcx.hub.keep import PARTS

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
        choices=PARTS,
        default=_ALL,
        help="texts: what compiling and tokenizers need",
    )
    meaning = "folder for the files (default: one for the commit, below MLC_LLM_HOME)"
    output_argument(parser, FOLDER, meaning, required=False)


def fetch(args: argparse.Namespace) -> int:
    """Bring the files of a model here, and say where they are."""
    print(obtain(args.model, args.part, args.lock, args.output))
    return 0
