"""The models that a spec names: folders here, or repositories that a lock file pins."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mlcx.errors import InputError, UsageError
from mlcx.spec import schema
from mlcx.spec.hub import Repository, is_remote
from mlcx.spec.lock import LOCK, read
from mlcx.spec.resolve import hub_settings
from mlcx.spec.source import read as read_source

__all__ = ["mentioned", "remote_models", "unpinned"]


def remote_models(spec: Path) -> list[Repository]:
    """Return the repositories that the spec names, each once, in its order.

    Raises:
        InputError: It is no spec, or names one that cannot be.
    """
    source = read_source(spec)
    kind = schema.kind_of(source)
    problems = [each.problem(source) for each in schema.violations(source, kind, None)]
    if problems:
        raise InputError(sorted(problems))
    found = []
    key = "model_list" if kind == "package" else "tasks"
    endpoint = hub_settings().endpoint
    for index, entry in enumerate(source.value.get(key, ())):
        if is_remote(entry["model"]):
            try:
                found.append(Repository.parse(entry["model"], endpoint))
            except UsageError as error:
                problem = source.problem((key, index, "model"), str(error))
                raise InputError(problem) from error
    return list(dict.fromkeys(found))


def mentioned(folder: Path, models: Iterable[Repository]) -> set[Repository]:
    """Return those of ``models`` that a JSON file in ``folder`` may mean.

    All that read like it are taken for specs, also those that are none or are faulty:
    better an entry of a lock file too many.
    """
    left, found = set(models), set[Repository]()
    for path in folder.glob("*.json"):
        if path.name == LOCK or not left:
            continue
        text = path.read_text(encoding="utf-8", errors="replace").replace("\\/", "/")
        found |= {model for model in left if model.id in text}
        left -= found
    return found


def unpinned(spec: Path) -> list[str]:
    """Return the models that ``spec`` names and its lock file does not pin.

    What is wrong with the spec itself, reading it in full will say.
    """
    models = _named(read_source(spec).value)
    if not models:
        return []
    pinned, endpoint = read(spec.parent / LOCK), hub_settings().endpoint
    found = []
    for model in models:
        try:
            repository = Repository.parse(model, endpoint)
        except UsageError:
            continue
        if repository.key not in pinned:
            found.append(str(repository))
    return list(dict.fromkeys(found))


def _named(value: dict[str, Any]) -> list[str]:
    entries = [value.get(key) for key in ("model_list", "tasks")]
    found = [each for listed in entries if isinstance(listed, list) for each in listed]
    models = [each.get("model") for each in found if isinstance(each, dict)]
    return [each for each in models if isinstance(each, str) and is_remote(each)]
