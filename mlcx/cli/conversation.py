"""Which conversation template suits a checkpoint, found by its own chat template."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlcx.artifact import MODEL_CONFIG, read_json
from mlcx.errors import InputError

if TYPE_CHECKING:
    from mlcx.runtime.likeness import Likeness

__all__ = ["other_template", "suiting"]

_GENERATION = "generation_config.json"


def suiting(folder: Path) -> list[Likeness] | None:
    """Return the templates that suit the checkpoint in ``folder``, the best first.

    None: it has no chat template of its own to tell by.

    Raises:
        InputError: One of its files is malformed.
    """
    from mlcx.package.templates import load_template, template_names
    from mlcx.runtime.chat import conversation
    from mlcx.runtime.chat_template import chat_template
    from mlcx.runtime.fields import Fields
    from mlcx.runtime.likeness import alike

    own = chat_template(folder)
    if own is None:
        return None
    templates = {
        name: conversation(Fields(name, load_template(name)))
        for name in template_names()
    }
    return alike(own, templates, _ends(folder))


def other_template(folder: Path, name: str) -> str:
    """Return what to say of the template ``name`` for a checkpoint; empty: nothing."""
    try:
        found = suiting(folder) or []
    except InputError as error:
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
