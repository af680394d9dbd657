"""What a run of SCons was asked for, and each step with the nodes that it makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import SCons.Node

from mlcx.scons.step import Step
from mlcx.steps.requests import Request

__all__ = ["SCRIPT", "VALID", "Declared", "Mode", "Steps", "is_gone"]

VALID = "valid-specs"
"""The file, in the build folder, that remembers which specs were found valid."""

SCRIPT = "SConstruct"
"""What is said to ask for what no spec does."""


def is_gone(spec: str, top: Path) -> bool:
    """Say whether ``spec``, a name below ``top``, is there no more; a script always is.

    Whatever it is called: ``SCRIPT`` stands for it.
    """
    return spec != SCRIPT and not (top / spec).exists()


@dataclass(frozen=True)
class Mode:
    """What SCons was asked to do."""

    builds: bool
    cleans: bool
    silent: bool
    plans: bool = False
    """Only say what would be done."""
    keeps_going: bool = False
    """After a failure."""
    manifest: bool = False
    """Say in a file what was made of what."""
    memory: float | None = None
    """Bytes that steps may take together; None: as many as there are."""

    @property
    def changes(self) -> bool:
        """Whether it writes or removes any file."""
        return (self.builds or self.cleans) and not self.plans


@dataclass(frozen=True)
class Declared:
    """A request, the step that does it, and the nodes that it makes."""

    request: Request
    step: Step
    nodes: Any
    """Empty: SCons was not told, since all stands as it was."""

    @property
    def state(self) -> int:
        """What SCons says became of it, a constant of ``SCons.Node``; 0: nothing."""
        return int(self.nodes[0].get_state() if self.nodes else SCons.Node.up_to_date)


Steps = Mapping[Path, Declared]
"""Steps by the targets that name them."""
