"""What a step stores for others: under a key that says what it was made of."""

from __future__ import annotations

from pathlib import Path

from mlcx.scons.shared import Shared
from mlcx.steps.requests import Request
from mlcx.store.cache import Cache
from mlcx.store.folder import FolderStore


def test_a_step_whose_source_changes_meanwhile_stores_nothing(tmp_path: Path) -> None:
    source, target = tmp_path / "config.json", tmp_path / "made.json"
    warned: list[str] = []
    cache = Cache([FolderStore(tmp_path / "cache")], warned.append)
    request = Request("normalize", (target,), (source,))
    for edited, stored in (("old", True), ("new", False)):
        source.write_text(edited[0])
        shared = Shared.of(cache, request, takes=True)
        assert shared is not None
        source.write_text("o")
        target.write_text("made")
        assert shared.put() is stored
        assert shared.holds() is stored
    assert warned == []
