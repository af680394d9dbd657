"""The SCons tool ``mlc``: a spec's jobs as SCons nodes.

The only package that imports SCons. It knows verbs, their inputs and their outputs, and
nothing of how a verb does its work: every step is a process of its own, so that the
process of SCons never loads tvm or numpy.
"""

from __future__ import annotations

from mlcx.scons.tool import exists, generate

__all__ = ["exists", "generate"]
