"""``init``: the files that a repository needs to build its models with mlcx."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import tempfile
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlcx.errors import BuildError, UsageError

if TYPE_CHECKING:
    from mlcx.spec.types import SourceKind

__all__ = ["init", "init_arguments"]

_SPEC = "mlc-package-config.json"
_FILES = {
    "SConstruct": f"""\
\"\"\"Build what {_SPEC} asks for: scons -j4\"\"\"

env = Environment(tools=["mlc"])
env.MLCCommandLine("{_SPEC}")
""",
    "site_scons/site_tools/mlc.py": '''\
"""The SCons tool ``mlc``."""

from mlcx.scons import exists, generate

__all__ = ["exists", "generate"]
''',
    ".gitignore": "/build/\n/dist/\n.sconsign.dblite\n__pycache__/\n",
}
"""Beside the spec; one that is there already stays as it is."""


def init_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``init``."""
    from mlcx.spec.devices import DEVICES

    parser.description = (
        f"Write {_SPEC} for models, with the conversation template that lays out "
        "turns as each model's own chat template does, and what SCons needs to build "
        "it. No file that exists is changed."
    )
    add = parser.add_argument
    add(
        "models",
        nargs="+",
        metavar="MODEL",
        help="a folder with a checkpoint or an MLC model directory, or "
        "HF://USER/REPO[@REVISION]",
    )
    add(
        "--device",
        default="cpu",
        metavar="D",
        help="what to build for (default: cpu): " + ", ".join(DEVICES),
    )
    add(
        "--quantization",
        default="q4f16_1",
        metavar="Q",
        help="scheme for checkpoints (default: q4f16_1)",
    )
    add(
        "--conv-template",
        metavar="T",
        help="conversation template of all checkpoints (default: found by their own)",
    )
    add(
        "-C",
        "--directory",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="folder of the repository (default: this one)",
    )


def init(args: argparse.Namespace) -> int:
    """Write the spec, and what is missing of the other files."""
    from mlcx.artifact import write_json, write_text
    from mlcx.spec.devices import ALIASES, DEVICES

    spec = args.directory / _SPEC
    if os.path.lexists(spec):
        raise UsageError(f"{spec} is there already: add models to it, or remove it")
    device = ALIASES.get(args.device, args.device)
    if device not in DEVICES:
        raise UsageError.unknown("device", device, DEVICES)
    models = [_look(model, args) for model in args.models]
    _check(device, models)
    args.directory.mkdir(parents=True, exist_ok=True)
    write_json(spec, _content(device, [each.entry for each in models]))
    for model in models:
        print(f"{model.name}: {model.summary}")
    print(f"wrote {spec}")
    for name, text in _FILES.items():
        if os.path.lexists(path := args.directory / name):
            print(f"kept {path}")
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, text)
        print(f"wrote {path}")
    go = "" if spec.parent == Path() else f"cd {shlex.quote(str(spec.parent))} && "
    if any(model.is_remote for model in models):
        go += f"mlcx lock {_SPEC}, "
    print(f"next: {go}mlcx plan {_SPEC}, then scons -j4 or mlcx package -j4")
    return 0


@dataclass(frozen=True)
class _Model:
    name: str
    entry: dict[str, Any]
    folder: Path
    is_remote: bool
    summary: str


def _content(device: str, entries: list[dict[str, Any]]) -> dict[str, Any]:
    return {"device": device, "model_list": entries}


def _check(device: str, models: list[_Model]) -> None:
    """Refuse a spec that could not be built, before anything is written.

    Raises:
        UsageError: It could not.
    """
    from mlcx.artifact import write_json
    from mlcx.errors import InputError
    from mlcx.spec import lock
    from mlcx.spec.reading import load
    from mlcx.spec.resolve import hub_settings

    _require_ids_apart(models)
    entries = [
        each.entry
        if each.is_remote
        else each.entry | {"model": os.path.abspath(each.folder)}  # noqa: PTH100
        for each in models
    ]
    with tempfile.TemporaryDirectory(prefix="mlcx-") as folder:
        spec = Path(folder, _SPEC)
        write_json(spec, _content(device, entries))
        if any(each.is_remote for each in models):
            # They have just been pinned for the user; mlcx lock does it for the spec.
            lock.write(
                spec.with_name(lock.LOCK), lock.read(hub_settings().lock).values()
            )
        try:
            load(spec)
        except InputError as error:
            place = str(spec)
            lines = [p.message if p.file == place else str(p) for p in error.problems]
            raise UsageError("; ".join(lines)) from error


def _require_ids_apart(models: list[_Model]) -> None:
    first: dict[str, _Model] = {}
    for model in models:
        name = model.entry["model_id"]
        earlier = first.setdefault(name.lower(), model)
        if earlier is not model:
            raise UsageError(
                f"{earlier.name} and {model.name} would both be called {name}: name "
                "one of them here, and add the other to the spec under another model_id"
            )


def _look(model: str, args: argparse.Namespace) -> _Model:
    """Return the entry of a spec for ``model``, once it has been looked into.

    Raises:
        UsageError: There is no such model, or none can tell its template.
        BuildError: The files of one of the hub cannot be had.
    """
    from mlcx.cli.model import folder_of
    from mlcx.spec.folder import kind_of
    from mlcx.spec.hub import is_remote

    folder = folder_of(model, "texts")
    _refuse_bytes(folder)
    kind = kind_of(folder)
    if kind is None:
        expected = (
            "a folder with config.json or mlc-chat-config.json, or HF://USER/REPO"
        )
        raise UsageError(f"{model}: expected {expected}")
    remote = is_remote(model)
    entry: dict[str, Any] = {"model": model if remote else _path(folder, args)}
    entry["model_id"] = _name(model.partition("@")[0] if remote else folder)
    note = "has its own quantization and conversation template"
    if kind == "checkpoint":
        entry["model_id"] += f"-{args.quantization}"
        template, note = _template(model, folder, args.conv_template)
        entry |= {"quantization": args.quantization, "conv_template": template}
    entry["bundle_weight"] = True
    return _Model(model, entry, folder, remote, f"{_KINDS[kind]}, {note}")


def _refuse_bytes(folder: Path) -> None:
    """Refuse a path that is no text: a spec, which is UTF-8, cannot name it."""
    from mlcx.spec.source import quote

    try:
        str(folder).encode()
    except UnicodeEncodeError as error:
        message = "the path is not UTF-8, so no spec can name it: rename it"
        raise UsageError(f"{quote(str(folder))}: {message}") from error


_KINDS: dict[SourceKind, str] = {
    "checkpoint": "a checkpoint",
    "mlc": "an MLC model directory",
}


def _path(folder: Path, args: argparse.Namespace) -> str:
    """Return ``folder`` as the spec may name it: relative to itself, if it was."""
    if folder.is_absolute():
        return str(folder)
    return Path(os.path.relpath(folder, args.directory)).as_posix()


def _name(model: str | Path) -> str:
    """Return an id for ``model``: of its last name what may stand in one.

    Letters lose their accents.
    """
    name = Path(os.path.abspath(model)).name  # noqa: PTH100
    parts = unicodedata.normalize("NFKD", name)
    last = "".join(each for each in parts if not unicodedata.combining(each))
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", last).strip("-.") or "model"


def _template(model: str, folder: Path, named: str | None) -> tuple[str, str]:
    """Return the conversation template of a checkpoint, and how it was found.

    Raises:
        UsageError: There is none of the name, or none can be told.
        InputError: A file of the checkpoint is malformed.
    """
    from mlcx.artifact import MODEL_CONFIG, read_json
    from mlcx.cli.conversation import other_template, suiting
    from mlcx.package.chat_config import ends_of, generation_defaults, generation_files
    from mlcx.package.templates import load_template

    config = folder / MODEL_CONFIG
    files = generation_files(config, read_json(config))
    ends = ends_of(generation_defaults(files))
    if named is not None:
        load_template(named)
        warning = other_template(folder, named, ends)
        return named, f"template {named}" + (f"; but {warning}" if warning else "")
    try:
        found = suiting(folder, ends)
    except BuildError as error:
        raise _untold(str(error)) from error
    if found is None:
        raise _untold(f"{model}: the model has no chat template of its own to tell by")
    if not found:
        raise _untold(f"{model}: none lays out turns as the model's own chat template")
    best = found[0]
    note = f"template {best.name}, which lays out turns as its own chat template does"
    but = "" if best.exact else ", but for white space and what ends an answer"
    return best.name, note + but


def _untold(why: str) -> UsageError:
    from mlcx.package.templates import template_names

    return UsageError(
        f"{why}: name a conversation template with --conv-template, LM for a "
        "model that only continues texts; expected one of "
        + ", ".join(template_names())
    )
