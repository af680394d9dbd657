"""From a spec's values to jobs: the only place that knows file names.

Takes what a schema found valid and reads no file except to see what a model's folder
holds. Paths in a spec are relative to the spec's folder.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from mlcx.spec.devices import DEVICES, Device, device_of
from mlcx.spec.folder import Place, kind_of
from mlcx.spec.hub import HubSettings, Repository, is_remote
from mlcx.spec.lock import LOCK, LockedModel, read
from mlcx.spec.opt import canonical
from mlcx.spec.options import DEFAULTS, archs_for, host_for
from mlcx.spec.overrides import whole
from mlcx.spec.prefix import canonical_prefix
from mlcx.spec.schema import schemes
from mlcx.spec.source import Steps
from mlcx.spec.types import (
    AppEntry,
    BundleJob,
    Fetched,
    LibraryJob,
    PrebuiltJob,
    QuantizationRecipe,
    SourceKind,
    Use,
    Verify,
    WeightsJob,
)

__all__ = [
    "Draft",
    "Job",
    "Places",
    "delivery_jobs",
    "hub_settings",
    "library_name",
    "local",
    "package_jobs",
    "place_of",
    "ready_jobs",
    "verify_of",
]

Job = WeightsJob | LibraryJob | PrebuiltJob | BundleJob | AppEntry

_READY = "model_lib_path_for_prepare_libs"


@dataclass(frozen=True)
class Draft:
    """A job, and what in the spec asks for it."""

    job: Job
    item: Steps
    """The model entry or task."""
    option: Steps
    """The compile option of the task; of an entry, which has none, the entry."""


def hub_settings() -> HubSettings:
    """Return what the environment says of models from the hub."""
    return HubSettings.of(os.environ)


Places = Callable[[str], Place | None]
"""Returns where the model of that name is; None: nowhere yet."""


def place_of(model: str, folder: Path) -> Place | None:
    """Return where ``model``, named in a spec in ``folder``, is; None: nowhere yet.

    Raises:
        UsageError: It cannot be the name of one.
        InputError: The lock file is damaged.
    """
    if not is_remote(model):
        path = local(folder, model)
        kind = kind_of(path)
        return None if kind is None else Place(path, kind)
    settings = hub_settings()
    repository = Repository.parse(model, settings.endpoint)
    locked = read(folder / LOCK).get(repository.key)
    if locked is None:
        return None
    return Place(settings.folder(repository, locked.commit), locked.kind, locked)


def local(folder: Path, path: str) -> Path:
    """Return ``path``, given relative to a spec's ``folder``, as an absolute one."""
    # Path.resolve would follow symbolic links, which a person may have meant.
    return Path(os.path.abspath(folder / path))  # noqa: PTH100


def package_jobs(
    spec: Mapping[str, Any], index: int, folder: Path, places: Places
) -> Iterator[Draft]:
    """Yield the jobs of one entry of ``model_list``, whose model is a local folder.

    Args:
        spec: A package config that its schema and the rules found valid.
        index: Of the entry.
        folder: Of the spec.
        places: Finds models.
    """
    entry = spec["model_list"][index]
    model = _Model.of(entry, folder, places)
    verify = _verify(((("model_list", index), entry, "verify"),), folder)
    jobs: list[Job] = [_library(spec, entry, model, folder, verify)]
    bundled = entry.get("bundle_weight", DEFAULTS["bundle_weight"])
    if bundled:
        jobs.append(_bundle(model))
    if model.kind == "checkpoint":
        jobs.append(_weights(spec, entry, model))
    jobs.append(_app_entry(entry, model, spec["device"]))
    steps: Steps = ("model_list", index)
    yield from (Draft(job, steps, steps) for job in jobs)


def ready_jobs(spec: Mapping[str, Any], folder: Path) -> Iterator[Draft]:
    """Yield the libraries that a package config hands over and no entry asks for.

    MLC archives them too: an app may have use for them.
    """
    asked = {entry.get("model_lib") for entry in spec.get("model_list", ())}
    device = DEVICES[spec["device"]]
    host = host_for(device, DEFAULTS["host"])
    for name, path in spec.get(_READY, {}).items():
        if name not in asked:
            source, library = local(folder, path), f"lib/{name}{device.suffix}"
            job = PrebuiltJob(name, source, library, device.name, host)
            yield Draft(job, (_READY, name), (_READY, name))


def delivery_jobs(
    spec: Mapping[str, Any], index: int, folder: Path, places: Places
) -> Iterator[Draft]:
    """Yield the jobs of one task: defaults first, then the task's own, as MLC does.

    Args:
        spec: A delivery spec that its schema and the rules found valid.
        index: Of the task, whose model is a local folder.
        folder: Of the spec.
        places: Finds models.
    """
    task = spec["tasks"][index]
    model = _Model.of(task, folder, places)
    below = PurePosixPath(spec["binary_libs_dir"], model.model_id)
    schemes = [*spec["default_quantization"], *task.get("quantization", [])]
    for steps, option in _compile_options(spec, index):
        device, named = device_of(option["device"]), option["device"].replace(":", "-")
        suffix = device.delivered_suffix(option.get("host", DEFAULTS["host"]))
        given = option.get("system_lib_prefix")
        prefix = None if given is None else canonical_prefix(given)
        owners = ((steps, option, "verify"), (("tasks", index), task, "verify"))
        verify = _verify((*owners, ((), spec, "default_verify")), folder)
        for scheme in schemes:
            name = f"{model.model_id}-{scheme}-{named}{suffix}"
            path, recipe = f"{below}/{name}", _recipe(spec, scheme)
            job = _compile(option, model, device, scheme, prefix, path, verify)
            job = job if recipe is None else replace(job, recipe=recipe)
            yield Draft(job, ("tasks", index), steps)


@dataclass(frozen=True)
class _Model:
    model_id: str
    path: Path
    kind: SourceKind
    fetched: Fetched | None
    locked: LockedModel | None

    @classmethod
    def of(cls, entry: Mapping[str, Any], folder: Path, places: Places) -> _Model:
        place = places(entry["model"])
        assert place is not None, f"rules let {entry['model']} through"
        fetched = None
        if place.locked is not None:
            fetched = _fetched(place.locked, place.path, folder / LOCK)
        return cls(entry["model_id"], place.path, place.kind, fetched, place.locked)

    @property
    def url(self) -> str | None:
        """Where an app can download the model directory from."""
        if self.locked is None or self.locked.unreachable:
            return None
        return self.locked.repository.url

    @property
    def directory(self) -> str:
        """The model directory to make, in the model's folder; empty: none is made."""
        return f"{self.model_id}/model" if self.kind == "checkpoint" else ""


def _fetched(model: LockedModel, directory: Path, lock: Path) -> Fetched:
    return Fetched(
        repository=model.repository.key,
        commit=model.commit,
        lock=lock,
        kind=model.kind,
        directory=directory,
        texts=tuple((file.name, file.sha256) for file in model.texts),
        weights=tuple((file.name, file.sha256) for file in model.weights),
    )


def _compile_options(
    spec: Mapping[str, Any], index: int
) -> Iterator[tuple[Steps, Mapping[str, Any]]]:
    for number, option in enumerate(spec["default_compile_options"]):
        yield ("default_compile_options", number), option
    for number, option in enumerate(spec["tasks"][index].get("compile_options", [])):
        yield ("tasks", index, "compile_options", number), option


def library_name(entry: Mapping[str, Any]) -> str:
    """Return the name of the library of ``entry``: its model_lib, or its model_id's."""
    given: str | None = entry.get("model_lib")
    return given or re.sub(r"[^A-Za-z0-9_]", "_", entry["model_id"])


def _library(
    spec: Mapping[str, Any],
    entry: Mapping[str, Any],
    model: _Model,
    folder: Path,
    verify: Verify | None,
) -> LibraryJob | PrebuiltJob:
    device = DEVICES[spec["device"]]
    name = library_name(entry)
    suffix = device.suffixes(entry.get("host", DEFAULTS["host"]))[0]
    path = f"lib/{name}{suffix}"
    use = _use(spec, entry, model)
    ready = spec.get(_READY, {}).get(entry.get("model_lib"))
    if ready is not None:
        host = host_for(device, entry.get("host", DEFAULTS["host"]))
        source = local(folder, ready)
        return PrebuiltJob(name, source, path, device.name, host, (use,))
    prefix = canonical_prefix(name) if device.static else None
    job = _compile(entry, model, device, use.quantization, prefix, path, verify)
    return replace(job, recipe=use.recipe)


def _use(spec: Mapping[str, Any], entry: Mapping[str, Any], model: _Model) -> Use:
    scheme, recipe = entry.get("quantization"), None
    if model.kind == "checkpoint":
        recipe = _recipe(spec, entry["quantization"])
    elif scheme not in schemes():
        # The model directory says itself what a recipe of its own is.
        scheme = None
    return Use(model.path, model.kind, scheme, recipe, model.fetched)


def _app_entry(entry: Mapping[str, Any], model: _Model, device: str) -> AppEntry:
    memory = entry.get("estimated_vram_bytes")
    # On Android, as in MLC, what the hub has is always downloaded.
    inside = model.url is None or (
        entry.get("bundle_weight", DEFAULTS["bundle_weight"])
        and not device.startswith("android")
    )
    return AppEntry(
        model_id=model.model_id,
        model_lib=library_name(entry),
        model_path=model.model_id if inside else None,
        model_url=None if inside else model.url,
        estimated_vram_bytes=None if memory is None else int(memory),
    )


def _recipe(spec: Mapping[str, Any], quantization: str) -> QuantizationRecipe | None:
    """Return the recipe that ``quantization`` names; None: it names a scheme."""
    recipe = spec.get("quantization_recipes", {}).get(quantization)
    if recipe is None:
        return None
    return QuantizationRecipe(recipe["base"], tuple(recipe["layers"].items()))


def _weights(
    spec: Mapping[str, Any], entry: Mapping[str, Any], model: _Model
) -> WeightsJob:
    return WeightsJob(
        model_id=model.model_id,
        model=model.path,
        quantization=entry["quantization"],
        conv_template=entry["conv_template"],
        directory=model.directory,
        recipe=_recipe(spec, entry["quantization"]),
        fetched=model.fetched,
        exact_float32=entry.get("float32", DEFAULTS["float32"]) == "raw",
    )


def _bundle(model: _Model) -> BundleJob:
    return BundleJob(
        model_id=model.model_id,
        model=model.path,
        kind=model.kind,
        source=model.directory,
        directory=f"bundle/{model.model_id}",
        fetched=model.fetched,
    )


def _compile(
    given: Mapping[str, Any],
    model: _Model,
    device: Device,
    quantization: str | None,
    prefix: str | None,
    library: str,
    verify: Verify | None,
) -> LibraryJob:
    """Make the job of ``given``: a model entry or a compile option."""
    overrides = dict(given.get("overrides", {}))
    # A package config has it among the overrides, a delivery spec beside them.
    opt = overrides.pop("opt", given.get("opt", DEFAULTS["opt"]))
    return LibraryJob(
        model_id=model.model_id,
        model=model.path,
        kind=model.kind,
        quantization=quantization,
        device=device.name,
        opt=canonical(opt, device),
        overrides=tuple(whole(overrides).items()),
        system_lib_prefix=prefix,
        host=host_for(device, given.get("host", DEFAULTS["host"])),
        mcpu=given.get("mcpu", DEFAULTS["mcpu"]),
        library=library,
        verify=verify,
        archs=archs_for(device, given.get("archs")),
        fetched=model.fetched,
    )


def verify_of(
    places: Iterable[tuple[Steps, Mapping[str, Any], str]],
) -> tuple[Steps, Any]:
    """Return where ``verify`` is given, and what; the first place decides.

    Args:
        places: Steps to an object, the object, and the key that it may have.
    """
    given = (
        ((*steps, key), owner[key]) for steps, owner, key in places if key in owner
    )
    return next(given, ((), None))


def _verify(
    places: Iterable[tuple[Steps, Mapping[str, Any], str]], folder: Path
) -> Verify | None:
    _, given = verify_of(places)
    if given is None:
        return None
    kl, top1, text = (given.get(key) for key in ("max_kl", "min_top1", "text"))
    return Verify(
        max_kl=None if kl is None else float(kl),
        min_top1=None if top1 is None else float(top1),
        text=None if text is None else local(folder, text),
        tokens=int(given.get("tokens", DEFAULTS["tokens"])),
        reference=given.get("reference", DEFAULTS["reference"]),
    )
