"""Which conversation template suits a checkpoint, found by its own chat template."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from mlcx.errors import BuildError, MlcxError

if TYPE_CHECKING:
    from mlcx.runtime.likeness import Likeness

__all__ = ["other_template", "suiting"]


def suiting(folder: Path, ends: Collection[int]) -> list[Likeness] | None:
    """Return the templates that suit the checkpoint in ``folder``, the best first.

    None: it has no chat template of its own to tell by. That is a program, though one
    that can reach nothing: it runs apart, with limits to its time and memory. ``ends``
    are the ids that end an answer of the model.

    Raises:
        InputError: One of its files is malformed.
        BuildError: The chat template is none, or takes too long.
    """
    from mlcx.runtime.chat_template import chat_template
    from mlcx.runtime.confined import confined
    from mlcx.runtime.likeness import Likeness

    own = chat_template(folder)
    if own is None:
        return None
    try:
        found = confined(_alike, str(own.path), own.text, {**own.tokens}, [*ends])
        return [Likeness(*each) for each in found]
    except BuildError as error:
        place = f"{own.path}: "
        if str(error).startswith(place):
            raise
        message = f"{place}the chat template cannot be tried: {error}"
        raise BuildError(message) from error


def _alike(
    path: str, text: str, tokens: dict[str, str], ends: list[int]
) -> list[tuple[str, bool]]:
    from mlcx.package.templates import load_template, template_names
    from mlcx.runtime.chat import conversation
    from mlcx.runtime.chat_template import ChatTemplate
    from mlcx.runtime.fields import Fields
    from mlcx.runtime.likeness import alike

    templates = {
        name: conversation(Fields(name, load_template(name)))
        for name in template_names()
    }
    own = ChatTemplate(Path(path), text, tokens)
    return [(each.name, each.exact) for each in alike(own, templates, ends)]


def other_template(folder: Path, name: str, ends: Collection[int]) -> str:
    """Return what to say of the template ``name`` for a checkpoint; empty: nothing.

    ``ends`` as for ``suiting``.
    """
    try:
        found = suiting(folder, ends) or []
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
