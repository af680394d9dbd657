from __future__ import annotations

from pathlib import Path

import pytest
from described import metadata, stored

from mlcx.errors import BuildError, InputError
from mlcx.package.app_config import with_memory, write_app_config
from mlcx.spec.types import AppEntry


def test_rows_have_the_keys_that_mlc_writes_in_its_order(tmp_path: Path) -> None:
    entries = (
        AppEntry("local", "local_lib", "local", None, 123),
        AppEntry("remote", "remote_lib", None, "https://host/repo", None),
    )
    write_app_config(entries, tmp_path / "app.json")
    assert (tmp_path / "app.json").read_text() == (
        "{\n"
        '  "model_list": [\n'
        "    {\n"
        '      "model_id": "local",\n'
        '      "model_lib": "local_lib",\n'
        '      "model_path": "local",\n'
        '      "estimated_vram_bytes": 123\n'
        "    },\n"
        "    {\n"
        '      "model_id": "remote",\n'
        '      "model_lib": "remote_lib",\n'
        '      "model_url": "https://host/repo"\n'
        "    }\n"
        "  ]\n"
        "}\n"
    )


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A library whose model takes 24 bytes, 2048 for a cache and 2048 besides."""
    cache = {"num_hidden_layers": 1, "num_key_value_heads": 1, "head_dim": 8}
    path = tmp_path / "a.so"
    path.write_bytes(stored(metadata(kv_cache=cache)))
    return path


def test_an_entry_gets_the_memory_that_its_library_says(library: Path) -> None:
    entry = AppEntry("m", "a", "m", None, None)
    sized = AppEntry("m", "a", "m", None, 24 + 2048 + 2048)
    assert with_memory(entry, library) == (sized, "")
    assert with_memory(entry, None) == (entry, "")


@pytest.mark.parametrize("given", [4120, 5000])
def test_an_estimate_that_is_enough_stays(library: Path, given: int) -> None:
    entry = AppEntry("m", "a", "m", None, given)
    assert with_memory(entry, library) == (entry, "")


def test_an_estimate_that_is_too_small_stays_with_a_warning(library: Path) -> None:
    entry = AppEntry("m", "a", "m", None, 4119)
    assert with_memory(entry, library) == (
        entry,
        "m: estimated_vram_bytes is 4119, but a.so takes 4120: 24 bytes of weights, "
        "2048 for a cache of 64 tokens and 2048 of temporaries",
    )


def test_without_an_estimate_the_library_must_say(tmp_path: Path) -> None:
    foreign, silent = tmp_path / "foreign.so", tmp_path / "silent.so"
    foreign.write_text("text")
    silent.write_bytes(stored(metadata()))
    given = AppEntry("m", "a", "m", None, 1)
    for library in (foreign, silent):
        assert with_memory(given, library) == (given, "")
    asked = AppEntry("m", "a", "m", None, None)
    way_out = "give the estimated_vram_bytes of m in the spec"
    with pytest.raises(InputError, match=rf"foreign\.so: .* no model: {way_out}"):
        with_memory(asked, foreign)
    message = rf"silent\.so does not say what memory it takes: {way_out}"
    with pytest.raises(BuildError, match=message):
        with_memory(asked, silent)
