"""Who may import whom, as data: read by the layer test and by source digests.

A package is a folder or a module right below ``mlcx``. Nothing imports ``cli``.
"""

from __future__ import annotations

__all__ = ["ALLOWED", "LIGHT", "closure"]

ALLOWED: dict[str, frozenset[str]] = {
    "errors": frozenset(),
    "layers": frozenset(),
    "progress": frozenset(),
    "recipe": frozenset(),
    "architectures": frozenset({"recipe", "errors"}),
    "artifact": frozenset({"errors"}),
    "home": frozenset(),
    "interpreter": frozenset(),
    "machine": frozenset(),
    "shape": frozenset(),
    "share": frozenset(),
    "stamp": frozenset(),
    "streams": frozenset({"errors"}),
    "library": frozenset({"stamp", "errors"}),
    "presets": frozenset({"errors"}),
    "toolchain": frozenset({"errors"}),
    "web": frozenset({"toolchain", "home", "artifact", "errors"}),
    "spec": frozenset("architectures artifact home layers toolchain errors".split()),
    "hub": frozenset({"spec", "artifact", "errors"}),
    "nn": frozenset({"errors"}),
    "models": frozenset({"architectures", "nn", "errors"}),
    "quant": frozenset(
        "architectures models artifact machine nn recipe errors".split()
    ),
    "weights": frozenset({"quant", "recipe", "share", "artifact", "errors"}),
    "compiler": frozenset(
        (
            "architectures models nn quant library toolchain machine artifact stamp "
            "errors"
        ).split()
    ),
    "runtime": frozenset(
        "interpreter share library toolchain artifact stamp errors".split()
    ),
    "manifest": frozenset({"progress", "artifact", "errors"}),
    "package": frozenset(
        "architectures library spec stamp toolchain artifact errors".split()
    ),
    "store": frozenset({"shape", "spec", "home", "artifact", "errors"}),
    "policy": frozenset({"errors"}),
    "signature": frozenset({"spec", "toolchain", "layers"}),
    "demand": frozenset(
        (
            "architectures interpreter policy signature store web spec toolchain home "
            "artifact errors"
        ).split()
    ),
    "steps": frozenset("signature web spec toolchain share artifact errors".split()),
    "report": frozenset("shape steps spec artifact errors".split()),
    "reasons": frozenset("shape steps signature policy spec artifact errors".split()),
    "scons": frozenset(
        (
            "interpreter streams progress shape share reasons report steps manifest "
            "policy signature store spec toolchain artifact errors"
        ).split()
    ),
}
"""Package to the packages that it may import; ``cli`` may import them all."""

LIGHT: tuple[str, ...] = (
    "mlcx",
    "mlcx.__main__",
    "mlcx.architectures",
    "mlcx.architectures.gemma3_text",
    "mlcx.architectures.gptj",
    "mlcx.architectures.phi_msft",
    "mlcx.architectures.qwen3_moe",
    "mlcx.architectures.rwkv6",
    "mlcx.artifact",
    "mlcx.cli",
    "mlcx.compiler.compile_config",
    "mlcx.demand.jit",
    "mlcx.errors",
    "mlcx.home",
    "mlcx.hub",
    "mlcx.interpreter",
    "mlcx.layers",
    "mlcx.library",
    "mlcx.library.contents",
    "mlcx.manifest",
    "mlcx.package",
    "mlcx.policy",
    "mlcx.presets",
    "mlcx.progress",
    "mlcx.quant.chosen",
    "mlcx.quant.fit",
    "mlcx.quant.scheme",
    "mlcx.reasons.why",
    "mlcx.recipe",
    "mlcx.report.documents",
    "mlcx.scons",
    "mlcx.shape",
    "mlcx.signature.inputs",
    "mlcx.spec",
    "mlcx.stamp",
    "mlcx.streams",
    "mlcx.steps.quality",
    "mlcx.store.settings",
    "mlcx.toolchain",
    "mlcx.web",
    "mlcx.web.kept",
    "mlcx.weights",
)
"""Modules whose import must load neither tvm nor torch."""


def closure(package: str) -> frozenset[str]:
    """Return ``package`` and all the packages that it reaches."""
    below = (closure(name) for name in ALLOWED[package])
    return frozenset({package}).union(*below)
