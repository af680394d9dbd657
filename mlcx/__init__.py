"""mlcx: a build system for on-device LLMs, on SCons and Apache TVM."""

__version__ = "0.1.0"
__all__ = ["__version__"]
