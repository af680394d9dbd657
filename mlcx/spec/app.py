"""What MLC's apps expect: where they look for models, and the one library they link.

Apps on phones cannot load a library of their own, so all are linked into them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mlcx.spec.devices import DEVICES
from mlcx.spec.types import AppEntry, LibraryJob, PrebuiltJob, StaticLibJob

__all__ = ["for_device", "static_lib"]

_ANDROID = "android"


def for_device(device: str, app: Sequence[AppEntry]) -> tuple[AppEntry, ...]:
    """Return the rows as the app on ``device`` reads them.

    MLC's app for Android knows no ``model_path``, and fails without a ``model_url``; a
    model that is pushed onto the phone it finds by its id. Where there is none to
    download from, MLC writes the path on the building machine: here it is empty.
    """
    if not device.startswith(_ANDROID):
        return tuple(app)
    return tuple(
        replace(row, model_path=None, model_url=row.model_url or "") for row in app
    )


def static_lib(
    device: str,
    libraries: Sequence[LibraryJob],
    prebuilt: Sequence[PrebuiltJob],
    app: Sequence[AppEntry],
) -> StaticLibJob | None:
    """Return the job that archives the libraries of an app; None: it loads them.

    Its file has the name that MLC's apps link: iphone and macabi share one. Ready-made
    libraries come first, as in MLC.
    """
    made = [job.library for job in prebuilt] + [job.library for job in libraries]
    if not made or not DEVICES[device].static:
        return None
    platform = device if device.startswith(_ANDROID) else "iphone"
    return StaticLibJob(
        device=device,
        libraries=tuple(dict.fromkeys(made)),
        names=tuple(dict.fromkeys(entry.model_lib for entry in app)),
        library=f"lib/libmodel_{platform.partition(':')[0]}.a",
    )
