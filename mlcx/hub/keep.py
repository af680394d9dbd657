"""Keep the files of pinned models in the user's folder, for mlcx and for MLC.

Each commit has a folder of its own, so that two specs may pin two commits. An MLC model
directory, once it is complete, is also put where MLC's own programs look for it.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from mlcx.artifact import TENSOR_CACHE, read_json, write_json, write_text
from mlcx.errors import BuildError, UsageError
from mlcx.hub.fetch import Fetch, Progress
from mlcx.hub.remote import Hub
from mlcx.spec.digest import digest_file
from mlcx.spec.hub import POLICY, DownloadPolicy, HubSettings
from mlcx.spec.lock import FETCHED, LockedFile, LockedModel
from mlcx.spec.verified import VERIFIED, Verified

__all__ = ["PARTS", "Part", "keep", "may_download"]

Part = Literal["texts", "weights", "all"]
PARTS: tuple[Part, ...] = get_args(Part)

_MARK = ".mlcx-commit"
"""In a folder that mlcx made for MLC: the commit that its files are of."""


def may_download(settings: HubSettings) -> str:
    """Say why nothing may be downloaded; empty: it may."""
    if settings.offline:
        return "HF_HUB_OFFLINE is set"
    if not settings.policy.downloads:
        return f"{POLICY} is {settings.policy.name}"
    return ""


def keep(
    model: LockedModel,
    part: Part,
    settings: HubSettings,
    hub: Hub,
    progress: Progress,
    folder: Path | None = None,
) -> Path:
    """Return the folder that has the files of ``model``, once it has them.

    Args:
        model: As it was pinned.
        part: Which of its files.
        settings: Where models are kept, and whether they may be downloaded.
        hub: Where they come from.
        progress: Is told how it goes.
        folder: To use in place of the one that the settings mean.

    Raises:
        BuildError: They cannot be had, or are not what they must be.
        UsageError: The hub or the policy refuses.
    """
    if settings.policy is DownloadPolicy.OFF:
        message = f"{model.repository} cannot be used: {POLICY} is OFF"
        raise UsageError(f"{message}; ON, REDO and READONLY allow it")
    own = settings.folder(model.repository, model.commit)
    target = folder or own
    barred = may_download(settings)
    fetch = Fetch(model.repository, model.commit, target, hub, progress, barred)
    elsewhere = settings.elsewhere(model.repository, model.commit)
    redo = settings.policy is DownloadPolicy.REDO and not barred
    files = _files(model, part)
    # What holds the rest together comes last.
    last = [file for file in files if file.name == TENSOR_CACHE]
    others = [file for file in files if file not in last]
    brought = fetch.run(others, elsewhere, again=redo)
    brought |= fetch.run(last, elsewhere, again=redo)
    if part != "texts" and (brought or not (target / FETCHED).is_file()):
        _finish(model, target)
    if target == own and model.kind == "mlc":
        _publish(model, own, settings.published(model.repository))
    return target


def _files(model: LockedModel, part: Part) -> Sequence[LockedFile]:
    chosen = {"texts": model.texts, "weights": model.weights, "all": model.files}
    return chosen[part]


def _finish(model: LockedModel, folder: Path) -> None:
    """Hold shards against their own index, and write down what weights there are."""
    index = folder / TENSOR_CACHE
    if model.kind == "mlc" and index.is_file():
        for record in read_json(index)["records"]:
            _check(folder, model, record)
    records = [
        {"name": file.name, "size": file.size, "sha256": file.sha256}
        for file in model.weights
    ]
    write_json(folder / FETCHED, {"files": records})


def _check(folder: Path, model: LockedModel, record: dict[str, object]) -> None:
    name, expected = str(record["dataPath"]), record.get("md5sum")
    size = (folder / name).stat().st_size
    found = expected and digest_file(folder / name, algorithm="md5")
    if size != record.get("nbytes") or found != expected:
        message = f"{name} of {model.repository} is not what its {TENSOR_CACHE} says"
        detail = f"{record.get('nbytes')} bytes and md5 {expected}, found {size} and"
        remedy = "the repository contradicts itself: tell its owner"
        (folder / TENSOR_CACHE).unlink(missing_ok=True)
        raise BuildError(f"{message}: {detail} {found}: {remedy}")


def _publish(model: LockedModel, folder: Path, place: Path) -> None:
    """Put the model where MLC looks for it, unless somebody else put one there.

    Of the steps that bring parts of it the last one finds it complete. One of another
    commit, which has the same place, is replaced.
    """
    from filelock import FileLock  # noqa: PLC0415

    names = [file.name for file in model.files]
    if not all((folder / name).is_file() for name in (FETCHED, *names)):
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(place.with_name(f".{place.name}.lock")):
        ours = place / _MARK
        if place.exists() and not ours.is_file():
            return
        current = ours.read_text(encoding="ascii").strip() if place.exists() else ""
        if current != model.commit or Verified(place).lacking(model.files):
            _replace(place, folder, model)


def _replace(place: Path, folder: Path, model: LockedModel) -> None:
    """Make ``place`` a folder with the files of ``model``, which are in ``folder``."""
    made, old = (place.with_name(f".{place.name}.{each}") for each in ("new", "old"))
    for each in (made, old):  # which a killed run may have left
        shutil.rmtree(each, ignore_errors=True)
    made.mkdir()
    for name in (VERIFIED, *(file.name for file in model.files)):
        _link(folder / name, made / name)
    # Links look as what they are links to did when it was read; copies are read.
    verified = Verified(made)
    verified.lacking(model.files)
    verified.write()
    write_text(made / _MARK, f"{model.commit}\n")
    if place.exists():
        place.rename(old)
    made.rename(place)
    shutil.rmtree(old, ignore_errors=True)


def _link(source: Path, target: Path) -> None:
    try:
        target.hardlink_to(source.resolve())
    except OSError:
        shutil.copyfile(source, target)
