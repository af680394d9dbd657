"""Which conversation template suits a checkpoint, found by its own chat template."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlcx.artifact import MODEL_CONFIG, read_json
from mlcx.errors import BuildError, MlcxError

if TYPE_CHECKING:
    from mlcx.runtime.likeness import Likeness

__all__ = ["other_template", "suiting"]

_GENERATION = "generation_config.json"


def suiting(folder: Path) -> list[Likeness] | None:
    """Return the templates that suit the checkpoint in ``folder``, the best first.

    None: it has no chat template of its own to tell by. That is a program, though one
    that can reach nothing: it runs apart, with limits to its time and memory.

    Raises:
        InputError: One of its files is malformed.
        BuildError: The chat template is none, or takes too long.
    """
    from mlcx.runtime.chat_template import template_text
    from mlcx.runtime.confined import confined
    from mlcx.runtime.likeness import Likeness

    path, text = template_text(folder)
    if not text:
        return None
    try:
        return [Likeness(*each) for each in confined(_alike, str(folder))]
    except BuildError as error:
        raise BuildError(
            f"{path}: the chat template cannot be tried: {error}"
        ) from error


def _alike(folder: str) -> list[tuple[str, bool]]:
    from mlcx.package.templates import load_template, template_names
    from mlcx.runtime.chat import conversation
    from mlcx.runtime.chat_template import chat_template
    from mlcx.runtime.fields import Fields
    from mlcx.runtime.likeness import alike

    own = chat_template(Path(folder))
    templates = {
        name: conversation(Fields(name, load_template(name)))
        for name in template_names()
    }
    found = alike(own, templates, _ends(Path(folder))) if own else []
    return [(each.name, each.exact) for each in found]


def other_template(folder: Path, name: str) -> str:
    """Return what to say of the template ``name`` for a checkpoint; empty: nothing."""
    try:
        found = suiting(folder) or []
    except MlcxError as error:
        return f"nothing tells whether the conversation template suits: {error}"
    exact = [each.name for each in found if each.exact]
    if not exact or name in {each.name for each in found}:
        return ""
    others = ", ".join(exact[:3])
    return (
        f"the conversation template {name} lays out turns otherwise than the "
        f"checkpoint's own chat template does; as it does: {others}"
    )


def _ends(folder: Path) -> frozenset[int]:
    """Return the ids that end an answer, by the first file that says."""
    for ids in _said(folder):
        return frozenset(ids)
    return frozenset()


def _said(folder: Path) -> Iterator[list[int]]:
    for name in (_GENERATION, MODEL_CONFIG):
        if (folder / name).is_file():
            found: Any = read_json(folder / name).get("eos_token_id")
            ids = found if isinstance(found, list) else [found]
            if whole := [each for each in ids if type(each) is int]:
                yield whole
