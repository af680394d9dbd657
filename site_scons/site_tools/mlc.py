"""The SCons tool ``mlc``."""

from mlcx.scons import exists, generate

__all__ = ["exists", "generate"]
