"""The builders: one for each verb, all of one shape."""

from __future__ import annotations

from typing import Any

from SCons.Action import Action
from SCons.Builder import Builder

__all__ = ["BUILDERS", "COMMAND_LINE"]

COMMAND_LINE = "MLCXCOMSTR"
"""Construction variable: what a build prints of a step; empty for its command."""


def _builder(verb: str, model: str, output: str) -> Any:
    """Return the builder of ``verb``.

    What stands between the marks ``$(`` and ``$)`` is no part of the signature: where
    mlcx is installed, and paths, whose contents count instead.
    """
    words = ["$(", "$MLCX", "$)", verb, "$(", model, "$)", "$MLCX_OPTIONS"]
    words += ["$(", "-o", output, "$)"]
    return Builder(action=Action([words], f"${COMMAND_LINE}"))


BUILDERS: dict[str, Any] = {
    verb: _builder(verb, model, output)
    for verb, model, output in (
        ("gen_config", "${SOURCE.dir}", "${TARGET.dir}"),
        ("convert_weight", "${SOURCE.dir}", "${TARGET.dir}"),
        ("normalize", "$SOURCE", "$TARGET"),
        ("compile", "$SOURCE", "$TARGET"),
        ("bundle", "${SOURCE.dir}", "${TARGET.dir}"),
        ("prebuilt", "$SOURCE", "$TARGET"),
        ("app_config", "$SOURCE", "$TARGET"),
    )
}
"""Verb to its builder."""
