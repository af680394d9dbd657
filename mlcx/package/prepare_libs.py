"""MLC LLM's runtime for an app: built by MLC's own script, laid out as MLC does.

What an app's folder had besides stays; each file is replaced in one go.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from mlcx.artifact import APP_CONFIG
from mlcx.errors import BuildError
from mlcx.package.place import copy
from mlcx.toolchain.mobile import ANDROID_OUTPUTS, IOS_LIBRARIES

__all__ = ["prepare_android", "prepare_ios"]

_SOURCES = "MLC_LLM_SOURCE_DIR"


def prepare_ios(
    script: Path, catalyst: tuple[str, str] | None, work: Path, output: Path
) -> None:
    """Build the runtime for iOS and put its libraries into ``output``.

    Args:
        script: MLC's ``ios/prepare_libs.sh``.
        catalyst: Architecture and oldest system for Mac Catalyst; None: an iPhone.
        work: Folder that the script builds in; kept, so that it builds less next time.
        output: Of the app.

    Raises:
        BuildError: The script failed, or did not make all that an app links.
    """
    options, made = [], work / "build"
    if catalyst is not None:
        arch, version = catalyst
        options = ["--catalyst", "--deployment-target", version, "--arch", arch]
        made = work / f"build-maccatalyst-{arch}"
    _run(["bash", str(script), *options], work, script.parents[1])
    _require(made / "lib", IOS_LIBRARIES)
    _lay_out(made / "lib", output)


def prepare_android(
    archive: Path, script: Path, app_config: Path, work: Path, output: Path
) -> None:
    """Build the runtime for Android and lay out its Gradle module in ``output``.

    Args:
        archive: The models, ``libmodel_android.a``.
        script: MLC's ``android/mlc4j/prepare_libs.py``.
        app_config: ``mlc-app-config.json``, which becomes an asset.
        work: Folder that the script builds in; kept, so that it builds less next time.
        output: Of the app.

    Raises:
        BuildError: The script failed, or did not make all that an app needs.
    """
    copy(archive, work / "build" / "lib" / archive.name)
    source = script.parents[2]
    options = ["--mlc-llm-source-dir", str(source)]
    _run([sys.executable, str(script), *options], work, source)
    made = work / "build" / "output"
    _require(made, ANDROID_OUTPUTS)
    _lay_out(script.parent / "src", output / "src")
    _lay_out(made, output / "output")
    copy(app_config, output / "src" / "main" / "assets" / APP_CONFIG)
    copy(script.with_name("build.gradle"), output / "build.gradle")


def _run(command: Sequence[str], work: Path, source: Path) -> None:
    work.mkdir(parents=True, exist_ok=True)
    environ: Mapping[str, str] = {**os.environ, _SOURCES: str(source)}
    try:
        done = subprocess.run(command, cwd=work, env=environ, check=False)
    except OSError as error:
        raise BuildError(f"{command[0]}: {error.strerror}") from error
    if done.returncode:
        message = f"{command[1]} failed with status {done.returncode}"
        raise BuildError(f"{message}: see its output above")


def _require(folder: Path, names: Sequence[str]) -> None:
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise BuildError(f"MLC's script did not make {', '.join(missing)} in {folder}")


def _lay_out(source: Path, target: Path) -> None:
    for path in sorted(source.rglob("*")):
        if path.is_file():
            place = target / path.relative_to(source)
            copy(path, place)
            shutil.copymode(path, place)
