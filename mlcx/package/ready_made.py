"""Libraries that were compiled elsewhere: taken over if they are what is said of them.

Of every library format and machine are looked at. One of mlcx says besides what it was
compiled of and for; one of MLC LLM does not, and is believed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlcx.architectures import ARCHITECTURES
from mlcx.artifact import QUANTIZATION_RECIPE, read_json
from mlcx.errors import InputError, UsageError
from mlcx.library.contents import Contents, Model, code_of, read
from mlcx.library.headers import Header
from mlcx.package.place import copy
from mlcx.spec.devices import DEVICES
from mlcx.stamp import Stamp
from mlcx.toolchain.triple import AUTO, Triple, parse

__all__ = ["Wanted", "take_over"]

_ARCHIVES = {".tar": "tar", ".a": "ar"}
"""Suffix of a library that is linked into an app to what packs its objects."""
_SHARED = {
    ".so": ("ELF", "Mach-O"),
    ".dylib": ("Mach-O",),
    ".dll": ("PE",),
    ".wasm": ("WebAssembly",),
}
_LOADED = ("ELF", "Mach-O", "PE")
"""What the systems load for a device that machines of any kind may have."""
_OBJECTS = ("ELF", "Mach-O", "COFF")
_FORMATS = {
    "elf": ("ELF",),
    "macho": ("Mach-O",),
    "coff": ("PE", "COFF"),
    "wasm": ("WebAssembly",),
}
"""Format of a triple's objects to what headers call those and libraries."""
_CATALYST = {"macabi": "mac catalyst"}
"""System to what Mach-O calls it, where that is not the same."""

_WAY_OUT = "give one that was compiled for it"


@dataclass(frozen=True)
class Wanted:
    """A model that is to run by the library."""

    config: Path
    """Its ``mlc-chat-config.json`` or ``config.json``."""
    quantization: str
    """A scheme's name, or a recipe as JSON; ``auto``: what the config says."""


def take_over(
    library: Path,
    output: Path,
    device: str | None = None,
    host: str = AUTO,
    models: Sequence[Wanted] = (),
) -> None:
    """Copy ``library`` to ``output``, atomically, if it is what it must be.

    Args:
        library: Of mlcx or MLC LLM.
        output: Its suffix says what kind of library it is to be.
        device: A preset; None: any.
        host: Triple of the machine that runs it; ``auto``: the device's own, else any,
            since what a spec means is the same wherever it is built.
        models: That run by it.

    Raises:
        InputError: It is no such library, or one for another device or model.
        BuildError: The output cannot be written.
    """
    contents = read(library, silent=True)
    named = AUTO if device is None else DEVICES[device].host_for(host)
    triple = None if named == AUTO else parse(named)
    for reason in (
        _cut_off(contents),
        _of_another_kind(contents, output.suffix, device, triple),
        _for_another_device(contents, device, triple),
        *(_of_another_model(contents, wanted) for wanted in models),
    ):
        if reason:
            raise InputError.in_file(library, reason)
    copy(library, output)


def _cut_off(contents: Contents) -> str:
    found = (part for part in contents.parts if part.fault)
    part = next(found, None)
    if part is None:
        return ""
    inside = f"{part.name} in it is " if contents.packaging else ""
    return f"{inside}{part.fault}: copy or build it again"


def _of_another_kind(
    contents: Contents, suffix: str, device: str | None, triple: Triple | None
) -> str:
    packaging = _ARCHIVES.get(suffix, "")
    formats = _formats(suffix, device, triple)
    headers = [part.header for part in contents.parts if part.header]
    fits = headers and all(_fits(each, formats, triple) for each in headers)
    if fits and contents.packaging == packaging:
        return ""
    expected = " or ".join(formats) or "none that can be"
    expected += f" for {triple.architecture}" if triple else ""
    whole = f"{packaging} archive with {expected}" if packaging else expected
    what = f"a library for {device}" if device else f"a {suffix} library"
    found = code_of(contents.packaging, contents.parts)
    way_out = _WAY_OUT if device else "give such a one"
    return f"expected {what} ({whole}), found {found}: {way_out}"


def _formats(suffix: str, device: str | None, triple: Triple | None) -> tuple[str, ...]:
    if device is not None and triple is None and suffix not in _ARCHIVES:
        # The plan's suffix is of the machine that plans: it says nothing of the host.
        return _LOADED
    formats = _OBJECTS if suffix in _ARCHIVES else _SHARED.get(suffix, ())
    if triple is None:
        return formats
    return tuple(each for each in _FORMATS[triple.format] if each in formats)


def _fits(header: Header, formats: Sequence[str], triple: Triple | None) -> bool:
    if header.slices:
        return any(_fits(each, formats, triple) for each in header.slices)
    if header.format not in formats:
        return False
    if triple is None:
        return True
    platform = _CATALYST.get(triple.system, triple.system)
    # Versions of a system may differ; MLC's own objects name no system.
    same = not header.platform or header.platform.startswith(platform)
    return same and header.architecture == triple.architecture


def _for_another_device(
    contents: Contents, device: str | None, triple: Triple | None
) -> str:
    if device is None:
        return ""
    models = (each.description.stamp for each in contents.models)
    stamps = [stamp for stamp in models if stamp is not None]
    others = [
        stamp
        for stamp in stamps
        if stamp.kind != DEVICES[device].kind or not _runs(stamp, triple)
    ]
    universal = any(part.header and part.header.slices for part in contents.parts)
    # A universal file is for other machines too.
    if not others or (universal and len(others) < len(stamps)):
        return ""
    found = f"{others[0].device} on {others[0].triple}"
    return f"expected a library for {device}, found one for {found}: {_WAY_OUT}"


def _runs(stamp: Stamp, triple: Triple | None) -> bool:
    if triple is None:
        return True
    try:
        found = parse(stamp.triple)
    except UsageError:
        return False
    return (found.architecture, found.system) == (triple.architecture, triple.system)


def _of_another_model(contents: Contents, wanted: Wanted) -> str:
    models = contents.models
    if not models or not all(model.description.stamp for model in models):
        return ""
    config = read_json(wanted.config)
    kind, (name, recipe) = config.get("model_type"), _scheme(wanted, config)
    if any(_is_of(model, kind, name, recipe) for model in models):
        return ""
    found = " and ".join(_called(model) for model in models)
    scheme = f"at {name}" if recipe is None else f"at the recipe {json.dumps(recipe)}"
    message = f"expected a library of {wanted.config}, {kind} {scheme}"
    return f"{message}, found one of {found}: {_WAY_OUT}"


def _scheme(
    wanted: Wanted, config: Mapping[str, Any]
) -> tuple[str | None, Mapping[str, Any] | None]:
    """Return the name of the scheme, and the recipe where it is a mixed one."""
    if wanted.quantization == AUTO:
        return config.get("quantization"), config.get(QUANTIZATION_RECIPE)
    if wanted.quantization.startswith("{"):
        recipe = json.loads(wanted.quantization)
        return recipe.pop("name", None), recipe
    return wanted.quantization, None


def _is_of(
    model: Model, kind: object, name: str | None, recipe: Mapping[str, Any] | None
) -> bool:
    metadata, stamp = model.description.metadata, model.description.stamp
    assert stamp is not None
    if _architecture(metadata["model_type"]) != _architecture(kind):
        return False
    if recipe is None and stamp.recipe is None:
        return name in (None, metadata["quantization"])
    # The last pattern that matches a layer counts, so their order does.
    return json.dumps(recipe) == json.dumps(stamp.recipe)


def _architecture(kind: object) -> object:
    return ARCHITECTURES.get(kind, kind) if isinstance(kind, str) else kind


def _called(model: Model) -> str:
    metadata = model.description.metadata
    return f"{metadata['model_type']} at {metadata['quantization']}"
