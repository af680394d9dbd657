"""What a run of SCons is asked for: the targets, and all that they are made of."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

import SCons.Node.Alias
import SCons.Node.FS
import SCons.Script

from mlcx.report.journal import Journal

if TYPE_CHECKING:
    from mlcx.scons.screen import Totals

__all__ = ["asked", "totals"]


def asked() -> frozenset[Any]:
    """Return all nodes below the targets of the command line, or below the defaults.

    Where there are neither, SCons builds all that is below the current folder.
    """
    found: set[Any] = set()
    waiting = [*map(_node, SCons.Script.BUILD_TARGETS or ["."])]
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting += _below(node)
    return frozenset(found)


def totals(nodes: Collection[Any], journal: Journal) -> Totals:
    """Return how far a run is that was asked for ``nodes``, one for each step.

    What waits for a step that failed is neither done nor failed itself.
    """
    from mlcx.scons.screen import Totals  # noqa: PLC0415 (on a terminal only)

    ended = (SCons.Node.up_to_date, SCons.Node.executed)
    results = (journal.this_run(node.get_internal_path()) for node in nodes)
    failed = sum(each is not None and each.status == "failed" for each in results)
    done = sum(node.get_state() in ended for node in nodes)
    return Totals(done, failed, len(nodes))


def _node(target: Any) -> Any:
    if isinstance(target, SCons.Node.Node):
        return target
    alias = SCons.Node.Alias.default_ans.lookup(target)
    return alias or SCons.Node.FS.get_default_fs().Entry(target)


def _below(node: Any) -> Iterable[Any]:
    if isinstance(node, SCons.Node.FS.Dir):
        # What is built in a folder belongs to it, as well as what is there.
        return [each for name, each in node.entries.items() if name not in {".", ".."}]
    return [*node.all_children(scan=0), *(node.prerequisites or ())]
