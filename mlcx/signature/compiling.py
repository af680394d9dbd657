"""What the steps to a library depend on besides files, whoever runs them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mlcx.signature import inputs
from mlcx.signature.facts import Fact
from mlcx.spec.devices import DEVICES
from mlcx.spec.options import text_of
from mlcx.toolchain.needs import Lack
from mlcx.toolchain.triple import AUTO

__all__ = ["Inputs", "compiling", "normalizing", "override_text", "web_runtime"]


@dataclass(frozen=True)
class Inputs:
    """What a step depends on besides files."""

    verb: str
    options: tuple[str, ...]
    """Words of its command that count."""
    facts: tuple[Fact, ...]
    lacks: tuple[Lack, ...] = ()
    """The tools that are missing for it."""


def normalizing(
    quantization: str | None, overrides: str, *, checkpoint: bool = False
) -> Inputs:
    """Return the inputs of ``normalize``.

    Args:
        quantization: A scheme's name or a recipe, as a command line takes it; None:
            what the config says.
        overrides: As ``override_text`` returns them.
        checkpoint: Whether the config is a checkpoint's own, beside its tokenizer.
    """
    given = {"--quantization": quantization, "--overrides": overrides}
    words = (word for option in given.items() if option[1] for word in option)
    facts = [inputs.sources("compile", "compiler")]
    if checkpoint:
        facts = [
            inputs.sources("compile", "compiler", "package"),
            inputs.installed("libraries", "tokenizers"),
        ]
    return Inputs("normalize", tuple(map(str, words)), tuple(facts))


def compiling(
    device: str,
    suffix: str,
    *,
    opt: str,
    host: str,
    mcpu: str,
    archs: tuple[str, ...] = (),
    prefix: str | None = None,
) -> Inputs:
    """Return the inputs of ``compile``.

    Args:
        device: A preset.
        suffix: Of the library, with the dot.
        opt: Optimisation flags, in their canonical form.
        host: As a spec names it.
        mcpu: As a spec names it.
        archs: Of CUDA, that it is for; none: the preset's own.
        prefix: Of the symbols of a static library, in its canonical form.
    """
    preset = DEVICES[device]
    # As the preset has it: another one of its name makes another library.
    host = preset.host_for(host)
    options = ["--device", device, "--opt", opt, "--host", host, "--mcpu", mcpu]
    if archs:
        options += ["--archs", ",".join(archs)]
    if prefix is not None:
        options += ["--system-lib-prefix", prefix]
    tools, lacks = inputs.toolchain(device, host, suffix, archs)
    own = inputs.sources("compile", "compiler", alone=("spec/prefix",))
    facts = [own, inputs.tvm(), tools]
    if host == AUTO:
        works = mcpu == AUTO and preset.kind == "llvm"
        facts.append(inputs.host(with_cpu=works))
    return Inputs("compile", tuple(options), tuple(facts), lacks)


def web_runtime(device: str, host: str) -> Inputs:
    """Return the inputs of ``web_runtime``, which libraries in ``.wasm`` hold.

    Args:
        device: A preset for the web.
        host: As a spec names it.
    """
    tools, lacks = inputs.toolchain(device, host, ".wasm")
    facts = (inputs.sources("web_runtime", "web"), inputs.tvm(), tools)
    return Inputs("web_runtime", (), facts, lacks)


def override_text(overrides: Iterable[tuple[str, object]]) -> str:
    """Return ``overrides`` as a command line takes them: ``key=value;key=value``."""
    return ";".join(f"{key}={text_of(value)}" for key, value in overrides)
