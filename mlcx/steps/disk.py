"""What a step will add to the disk; rather too little than too much.

A build that is refused in vain costs all of it. What a step reads may not be here yet:
then what the downloads of the same build will bring counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from mlcx.artifact import read_json
from mlcx.errors import InputError
from mlcx.spec import lock
from mlcx.spec.lock import PARTIAL, LockedFile, LockedModel
from mlcx.spec.resolve import hub_settings
from mlcx.spec.verified import Verified
from mlcx.steps import schemes
from mlcx.steps.parts import fault, listed, size_of
from mlcx.steps.requests import Request

__all__ = ["Downloads", "downloads", "held", "pinned", "written"]

Downloads = Mapping[Path, LockedModel]
"""Each file that a download makes, to the model that it is of."""

_WEIGHTS = {".safetensors", ".bin"}
_WIDE = {"float32", "float"}


def downloads(requests: Iterable[Request]) -> dict[Path, LockedModel]:
    """Return what those of ``requests`` bring that are downloads."""
    found = ((each, _locked(each)) for each in requests)
    return {
        path: model
        for request, model in found
        if model is not None
        for path in request.targets
    }


def pinned(request: Request) -> list[LockedFile]:
    """Return the files that a download brings, by its lock file; none: it is none."""
    model = _locked(request)
    names = dict(request.facts[0].parts) if model else {}
    return [file for file in model.files if file.name in names] if model else []


def held(request: Request) -> bool:
    """Whether all that a download brings is here, as it was found right before.

    Reads no weights: what was written to since is taken for missing.
    """
    if not request.is_shared or not all(path.is_file() for path in request.targets):
        return False
    verified = Verified(request.output)
    files = request.facts[0].parts
    return all(verified.stands(*file) for file in files) and not any(
        map(fault, request.targets)
    )


def written(request: Request, coming: Downloads) -> int:
    """Return how many bytes ``request`` will at least add to the disk; 0: unknown.

    Args:
        request: Any step.
        coming: What the steps before it bring.
    """
    if request.is_shared:
        return _downloaded(request)
    if request.verb == "bundle" and not _is_on_one_disk(request):
        return _given(request, coming)
    if request.verb == "convert_weight":
        here = request.output.glob("params_shard_*.bin")
        return max(0, _converted(request, coming) - sum(map(size_of, here)))
    return 0


def _locked(request: Request) -> LockedModel | None:
    if not request.is_shared:
        return None
    return lock.read(dict(request.files)["--lock"]).get(request.subject)


def _downloaded(request: Request) -> int:
    """Return the bytes of what is not here, nor where a link can be made to it."""
    model = _locked(request)
    if model is None:
        return 0
    elsewhere = hub_settings().elsewhere(model.repository, model.commit)
    folders = (request.output, *elsewhere)
    missing = (each for each in pinned(request) if not _is_in(folders, each))
    partial = request.output / PARTIAL
    return sum(each.size - size_of(partial / each.sha256) for each in missing)


def _is_in(folders: Iterable[Path], file: LockedFile) -> bool:
    names = {file.name, file.remote}
    found = (size_of(folder / name) for folder in folders for name in names)
    return file.size in found


def _given(request: Request, coming: Downloads) -> int:
    """Return the bytes of all weights that ``request`` reads."""
    files = [path for path in request.sources if path.suffix in _WEIGHTS]
    files += [path for index in request.sources for path in listed(index)]
    found = sum(map(size_of, files))
    models = {id(each): each for each in map(coming.get, request.sources) if each}
    return found or sum(each.size for one in models.values() for each in one.weights)


def _converted(request: Request, coming: Downloads) -> int:
    bits = schemes.bits(schemes.scheme(request.options))
    if bits is None:
        return 0
    return int(_given(request, coming) * min(1.0, bits / _bits_given(request, coming)))


def _bits_given(request: Request, coming: Downloads) -> int:
    source = request.sources[0]
    try:
        config = coming[source].config if source in coming else read_json(source)
    except InputError:
        return 16
    dtype = config.get("torch_dtype", config.get("dtype"))
    return 32 if str(dtype) in _WIDE else 16


def _is_on_one_disk(request: Request) -> bool:
    """Whether links can serve; what is not there yet is taken to be."""
    source = request.sources[0].parent
    target = next(each for each in request.output.parents if each.exists())
    return not source.exists() or source.stat().st_dev == target.stat().st_dev
