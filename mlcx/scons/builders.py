"""The builders: one for each verb, all of one shape."""

from __future__ import annotations

from typing import Any

from SCons.Action import Action
from SCons.Builder import Builder
from SCons.Subst import Literal

__all__ = ["BUILDERS", "COMMAND_LINE", "Word"]

COMMAND_LINE = "MLCXCOMSTR"
"""Construction variable: what a build prints of a step; empty for its command."""


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
    words = ["$(", "$MLCX", "$)", verb, "$MLCX_MODEL", "$MLCX_OPTIONS", "$MLCX_FILES"]
    return Builder(action=Action([[*words, "-o", "$MLCX_OUTPUT"]], f"${COMMAND_LINE}"))


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
