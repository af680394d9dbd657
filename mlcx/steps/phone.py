"""The step that builds MLC LLM's runtime for an app, or what to say without it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from mlcx.artifact import APP_CONFIG
from mlcx.errors import UsageError
from mlcx.signature import inputs
from mlcx.spec.devices import DEVICES
from mlcx.spec.options import host_for
from mlcx.spec.types import Plan, StaticLibJob
from mlcx.steps.about import About
from mlcx.steps.requests import Folders, Request
from mlcx.toolchain.mobile import ANDROID_OUTPUTS, IOS_LIBRARIES, missing
from mlcx.toolchain.triple import AUTO, parse

__all__ = ["SOURCES", "plan", "remains"]

SOURCES = "MLC_LLM_SOURCE_DIR"

_SCRIPTS = {
    "iphone": "ios/prepare_libs.sh",
    "android": "android/mlc4j/prepare_libs.py",
}


def remains(plan: Plan, environ: Mapping[str, str]) -> str:
    """Say what an app needs that this build cannot make; empty: nothing.

    Raises:
        UsageError: The folder of MLC LLM's sources is not what it must be.
    """
    if plan.static_lib is None:
        return ""
    platform = _platform(plan.static_lib)
    lacking = missing(platform, environ)
    if _script(platform, environ) is None:
        sources = f"MLC LLM's sources (--mlc-llm-source-dir DIR, or set {SOURCES})"
        lacking.insert(0, sources)
    if not lacking:
        return ""
    return (
        f"what remains: the app links {plan.static_lib.library} with MLC LLM's "
        f"runtime, which {_SCRIPTS[platform]} builds; to have it done here, build "
        f"again with {', '.join(lacking)}"
    )


def plan(plan: Plan, folders: Folders, environ: Mapping[str, str]) -> Iterator[Request]:
    """Yield what it takes to build the runtime, when nothing for it is missing."""
    job = plan.static_lib
    if job is None or remains(plan, environ):
        return
    script = _script(_platform(job), environ)
    assert script is not None, "remains says so"
    archive = folders.output / job.library
    work = folders.build / "prepare_libs" / job.device.replace(":", "-")
    request = Request(
        "prepare_libs",
        tuple(archive.with_name(name) for name in IOS_LIBRARIES),
        (archive, script),
        _catalyst(plan) if job.device == "macabi" else (),
        (inputs.sources("phone", "package"),),
        About(device=job.device),
        (("--script", script), ("--work", work)),
    )
    yield request if _platform(job) == "iphone" else _for_android(request, folders)


def _for_android(request: Request, folders: Folders) -> Request:
    """Return ``request`` for the module that an app for Android includes."""
    archive, script = request.sources
    config = folders.output / "bundle" / APP_CONFIG
    gradle, own = script.with_name("build.gradle"), script.parent / "src"
    copied = sorted(path for path in own.rglob("*") if path.is_file())
    made = archive.with_name("mlc4j")
    targets = (
        made / gradle.name,
        *(made / "output" / name for name in ANDROID_OUTPUTS),
        made / "src" / "main" / "assets" / APP_CONFIG,
        *(made / "src" / path.relative_to(own) for path in copied),
    )
    return replace(
        request,
        targets=targets,
        sources=(archive, script, config, gradle, *copied),
        files=(*request.files, ("--app-config", config)),
    )


def _platform(job: StaticLibJob) -> str:
    return "android" if job.device.startswith("android") else "iphone"


def _script(platform: str, environ: Mapping[str, str]) -> Path | None:
    """Return MLC's script for ``platform``; None: its sources are not given."""
    given = environ.get(SOURCES)
    if not given:
        return None
    script = Path(given).absolute() / _SCRIPTS[platform]
    if not script.is_file():
        message = f"expected a folder with {_SCRIPTS[platform]}, found {given!r}"
        raise UsageError(f"{SOURCES}: {message}: name a checkout of MLC LLM")
    return script


def _catalyst(plan: Plan) -> tuple[str, ...]:
    """Return the options for the Mac that the libraries are compiled for."""
    device = DEVICES["macabi"]
    hosts = {device.host_for(job.host) for job in plan.libraries}
    host = parse(min(hosts, default=device.host_for(host_for(device, AUTO))))
    arch = "arm64" if host.architecture == "aarch64" else host.architecture
    return ("--arch", arch, "--deployment-target", host.version or "18.0")
