"""The builders: one for each verb, all of one shape."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from SCons.Action import Action
from SCons.Builder import Builder
from SCons.Subst import Literal

from mlcx.scons.options import COMMAND_LINE
from mlcx.steps.requests import Request

__all__ = ["BUILDERS", "Word", "words"]


class Word(Literal):
    """One word of a command, which SCons must neither expand nor split."""

    def __init__(self, text: str, *, signed: bool) -> None:
        """Take ``text``, which is ``signed`` when another one needs a new build."""
        super().__init__(text)
        self._signed = signed

    def for_signature(self) -> str:
        """Return what of this word counts, without a mark that SCons would act on."""
        return self.lstr.replace("$", "%24") if self._signed else ""


def _builder(verb: str) -> Any:
    """Return the builder of ``verb``.

    What stands between the marks ``$(`` and ``$)`` is no part of the signature: it says
    where mlcx is installed. Nor are the paths, whose contents count instead.
    """
    given = ["$(", "$MLCX", "$)", verb, "$MLCX_MODEL", "$MLCX_OPTIONS", "$MLCX_FILES"]
    return Builder(action=Action([[*given, "-o", "$MLCX_OUTPUT"]], f"${COMMAND_LINE}"))


BUILDERS: dict[str, Any] = {
    verb: _builder(verb)
    for verb in (
        "fetch",
        "gen_config",
        "convert_weight",
        "normalize",
        "compile",
        "web_runtime",
        "bundle",
        "prebuilt",
        "static_lib",
        "prepare_libs",
        "app_config",
        "reference-logits",
        "measure-quality",
        "judge-quality",
    )
}
"""Verb to its builder."""


def words(request: Request, name: Callable[[Path], str]) -> dict[str, list[Word]]:
    """Return the construction variables with the words of the command of ``request``.

    Args:
        request: What is to be made.
        name: Returns a path as the command has it.
    """

    def place(path: Path) -> Word:
        return Word(_no_option(name(path)), signed=False)

    subject = [request.subject] if request.subject else []
    return {
        "MLCX_MODEL": [
            *(Word(each, signed=False) for each in subject),
            *map(place, request.models),
        ],
        "MLCX_OPTIONS": [Word(option, signed=True) for option in request.options],
        "MLCX_FILES": [
            word
            for option, path in request.files  # whose content counts instead
            for word in (Word(option, signed=True), place(path))
        ],
        "MLCX_OUTPUT": [place(request.output)],
    }


def _no_option(path: str) -> str:
    """Return ``path`` so that no verb takes it for one of its options."""
    return f"./{path}" if path.startswith("-") else path
