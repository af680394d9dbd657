"""The verbs of the command line, as a table; each is loaded only when it runs.

The module of a verb has two functions for it: ``<verb>_arguments(parser)`` declares
its arguments, and ``<verb>(args)`` does the work and returns the exit status.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["VERBS", "Verb"]


class Verb(NamedTuple):
    """Where a verb lives, below ``mlcx.cli``, and what it does, in one line."""

    module: str
    summary: str


VERBS: dict[str, Verb] = {
    "init": Verb("init", "write a spec for models, and what SCons needs beside it"),
    "validate": Verb("check", "check spec files and report every violation"),
    "plan": Verb("plan", "say what a build of a spec would do"),
    "explain": Verb("explain", "say why targets are built again"),
    "doctor": Verb("doctor", "say what devices need, and what of it there is"),
    "lock": Verb("hub", "pin the models of specs that come from the hub"),
    "fetch": Verb("hub", "bring the files of a model from the hub here"),
    "gen_config": Verb("convert", "write mlc-chat-config.json and tokenizer files"),
    "convert_weight": Verb("convert", "convert and quantize a checkpoint's weights"),
    "normalize": Verb("compile", "write what compiling reads of a model's config"),
    "compile": Verb("compile", "compile a model library"),
    "web_runtime": Verb("web_runtime", "compile the runtime of libraries for the web"),
    "bundle": Verb("package", "lay out a model directory below dist/bundle"),
    "app_config": Verb("package", "write mlc-app-config.json"),
    "prebuilt": Verb("prebuilt", "take over a library that was compiled elsewhere"),
    "static_lib": Verb("package", "archive model libraries for an app to link"),
    "prepare_libs": Verb("phone", "build MLC LLM's runtime for an app on a phone"),
    "package": Verb("package", "build all that a package config asks for"),
    "deliver": Verb("package", "build all that a delivery spec asks for"),
    "verify": Verb("verify", "check a delivery or a bundle, anywhere and offline"),
    "cache": Verb("cache", "list, measure, prune or verify the cache of builds"),
    "inspect": Verb("inspect", "print what a library says of itself"),
    "generate": Verb("run", "continue a prompt with a built model"),
    "reference-logits": Verb("quality", "write logits of a model as it was"),
    "measure-quality": Verb("quality", "hold a library against a reference"),
    "judge-quality": Verb("quality", "hold a library's figures to thresholds"),
    "verify-quality": Verb("quality", "check what quantizing a model has cost"),
    "logits": Verb("run", "write a built model's logits for given tokens"),
}
