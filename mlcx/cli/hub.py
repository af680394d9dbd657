"""The verbs for models from the hub: ``lock`` pins them, ``fetch`` brings them."""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlcx.errors import UsageError

if TYPE_CHECKING:
    from tqdm import tqdm

    from mlcx.hub.keep import Part
    from mlcx.spec.hub import Repository
    from mlcx.spec.lock import LockedModel

__all__ = ["Progress", "fetch", "fetch_arguments", "lock", "lock_arguments", "obtain"]

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
        before, now = _pinned(file, model, again)
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


def _pinned(
    file: Path, repository: Repository, again: bool
) -> tuple[LockedModel | None, LockedModel]:
    """Return what ``file`` has of ``repository``, and what it has now."""
    from filelock import FileLock

    from mlcx.hub.keep import may_download
    from mlcx.hub.pin import pin
    from mlcx.hub.remote import HuggingFace
    from mlcx.spec.lock import read, write
    from mlcx.spec.resolve import hub_settings

    before = read(file).get(repository.key)
    if before is not None and not again:
        return before, before
    settings = hub_settings()
    if barred := may_download(settings):
        message = f"{repository} is not pinned in {file}, and the hub cannot be asked"
        raise UsageError(
            f"{message}, as {barred}: allow it once, or copy the file here"
        )
    with Progress() as progress:
        now = pin(HuggingFace(settings.endpoint), repository, settings, progress)
    settings.home.mkdir(parents=True, exist_ok=True)
    with FileLock(settings.home / ".lock-files.lock"):
        write(file, [*({**read(file), repository.key: now}).values()])
    return before, now


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


def obtain(
    model: str, part: Part, lock_file: Path | None = None, folder: Path | None = None
) -> Path:
    """Return the folder with the files of ``model``, once they are there.

    Args:
        model: As a person names it, with or without ``HF://``.
        part: Which files.
        lock_file: Pins it; None: a file of the user's that remembers what it was.
        folder: For the files; None: the one that the environment means.
    """
    from mlcx.hub.keep import keep
    from mlcx.hub.remote import HuggingFace
    from mlcx.spec.hub import DownloadPolicy, Repository, is_remote
    from mlcx.spec.lock import read
    from mlcx.spec.resolve import hub_settings

    settings = hub_settings()
    name = model if is_remote(model) else f"HF://{model}"
    repository = Repository.parse(name, settings.endpoint)
    if lock_file is not None:
        locked = read(lock_file).get(repository.key)
        if locked is None:
            raise UsageError(f"{repository} is not pinned in {lock_file}: mlcx lock")
    else:
        again = settings.policy is DownloadPolicy.REDO
        _, locked = _pinned(settings.lock, repository, again)
    with Progress() as progress:
        hub = HuggingFace(settings.endpoint)
        return keep(locked, part, settings, hub, progress, folder)


class Progress:
    """A bar of the bytes that come, on a terminal only; notes on stderr."""

    def __init__(self) -> None:
        self._bar: tqdm[Any] | None = None
        self._guard = threading.Lock()

    def begin(self, nbytes: int) -> None:
        """Say how many bytes there are to come."""
        from tqdm import tqdm

        self._close()
        self._bar = tqdm(
            total=nbytes,
            unit="B",
            unit_scale=True,
            unit_divisor=1024,
            disable=not sys.stderr.isatty(),
        )

    def advance(self, nbytes: int) -> None:
        """Say how many more have come."""
        with self._guard:
            if self._bar is not None:
                self._bar.update(nbytes)

    def note(self, text: str) -> None:
        """Say something that a person should know."""
        print(f"mlcx: {text}", file=sys.stderr)

    def __enter__(self) -> Progress:
        from huggingface_hub.utils import logging

        logging.set_verbosity_error()
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
