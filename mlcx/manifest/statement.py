"""What was made, and from what, as others read it: an in-toto statement.

The formats are in-toto's Statement v1 and SLSA's Provenance v1: a subject for each
product, and the inputs, tools and steps that they came from. No path of the machine and
no time is in it, so that two equal builds have equal manifests.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from mlcx.manifest.hashing import Digests, integrity

__all__ = ["is_foreign", "statement"]

_STATEMENT = "https://in-toto.io/Statement/v1"
_PREDICATE = "https://slsa.dev/provenance/v1"
_BUILD = "urn:mlcx:build:v1"
_WEB = {".wasm", ".json", ".bin", ".model", ".txt"}
"""What pages load: libraries, and the files of a bundle, tokenizers among them."""


def is_foreign(file: Path) -> bool:
    """Whether ``file`` is JSON of another kind: apps for the web have a manifest too.

    One of ours that was damaged is not.
    """
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return not (isinstance(content, dict) and content.get("_type") == _STATEMENT)


def statement(
    products: Mapping[str, tuple[int, Digests]],
    inputs: Iterable[tuple[str, Digests]],
    packages: Mapping[str, str],
    jobs: Iterable[Mapping[str, object]],
) -> dict[str, object]:
    """Return the manifest of ``products``.

    Args:
        products: Bytes and digests of each file, by its name beside the manifest.
        inputs: Name and digests of each file that a build read and none made.
        packages: Versions of the distributions that made them.
        jobs: The steps, as JSON has them.
    """
    return {
        "_type": _STATEMENT,
        "subject": [_subject(name, *products[name]) for name in sorted(products)],
        "predicateType": _PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": _BUILD,
                "externalParameters": {"jobs": list(jobs)},
                "resolvedDependencies": [
                    *sorted((_input(*each) for each in inputs), key=str),
                    *(
                        {"uri": f"pkg:pypi/{n}@{v}"}
                        for n, v in sorted(packages.items())
                    ),
                ],
            },
            "runDetails": {"builder": {"id": "urn:mlcx", "version": dict(packages)}},
        },
    }


def _subject(name: str, size: int, found: Digests) -> dict[str, object]:
    annotations: dict[str, object] = {"bytes": size}
    if PurePosixPath(name).suffix in _WEB:
        annotations["integrity"] = integrity(found["sha384"])
    digest = {"sha256": found["sha256"]}
    return {"name": name, "digest": digest, "annotations": annotations}


def _input(name: str, found: Digests) -> dict[str, object]:
    return {"name": name, "digest": {"sha256": found["sha256"]}}
