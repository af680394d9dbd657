"""Which files of steps are stored, and under which keys."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mlcx.signature.facts import Fact
from mlcx.steps.about import About
from mlcx.steps.keys import keys
from mlcx.steps.requests import Request


def request(tmp_path: Path, verb: str = "compile", *names: str) -> Request:
    source = tmp_path / "source"
    source.write_text("content")
    targets = tuple(tmp_path / name for name in names or ("a.so",))
    facts = (Fact.of("TVM", {"apache-tvm": "0.27"}),)
    return Request(verb, targets, (source,), ("--device", "cpu"), facts)


def test_a_key_has_the_suffix_and_the_place_of_a_target_but_no_path(
    tmp_path: Path,
) -> None:
    """The suffix of a library decides how it is linked, but is in no option."""
    first = request(tmp_path)
    (own,) = keys(first) or ()
    assert keys(request(tmp_path, "compile", "b/c.so")) == (own,)
    assert keys(replace(first, about=About("model"))) == (own,)
    assert keys(request(tmp_path, "compile", "d.tar")) != (own,)
    both = keys(request(tmp_path, "compile", "e.so", "f.so")) or ()
    assert both[0] == own
    assert both[1] != own


def test_what_a_step_depends_on_is_in_its_key(tmp_path: Path) -> None:
    first = request(tmp_path)
    changes = (
        {"verb": "normalize"},
        {"options": ()},
        {"facts": ()},
        {"files": (("--web-runtime", tmp_path / "source"),)},
        {"sources": first.sources * 2},
    )
    found = {keys(replace(first, **change)) for change in changes}
    (tmp_path / "source").write_text("other")
    assert len(found | {keys(first)}) == 6


def test_what_reads_a_folder_depends_on_the_names_in_it(tmp_path: Path) -> None:
    """A tokenizer_config.json that is called tokenizer.json is another model."""
    for name in ("config.json", "a/config.json", "other.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}")
    for verb, counts in (("gen_config", True), ("normalize", False)):
        first = request(tmp_path, verb, "mlc-chat-config.json", "tokenizer.json")
        found = {
            name: keys(replace(first, sources=(tmp_path / name,)))
            for name in ("config.json", "a/config.json", "other.json")
        }
        assert found["config.json"] == found["a/config.json"]
        assert (found["config.json"] != found["other.json"]) == counts


def test_what_is_found_beside_a_config_counts_by_its_name(tmp_path: Path) -> None:
    """Where no tokenizer.json is any more, a config has other tokens in use."""
    for name in ("a/config.json", "a/tokenizer.json", "b/config.json", "b/old.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}")
    first = request(tmp_path, "normalize", "compile-config.json")
    found = {
        keys(replace(first, sources=tuple(sorted((tmp_path / folder).iterdir()))))
        for folder in "ab"
    }
    assert len(found) == 2


def test_what_an_option_names_counts_by_its_content(tmp_path: Path) -> None:
    first = request(tmp_path, "compile", "a.wasm")
    (tmp_path / "runtime.o").write_text("content")
    found = {
        keys(replace(first, sources=(*first.sources, each), files=(("--with", each),)))
        for each in (tmp_path / "runtime.o", tmp_path / "source")
    }
    assert len(found) == 1


def test_other_steps_and_those_whose_sources_are_missing_have_none(
    tmp_path: Path,
) -> None:
    assert keys(request(tmp_path, "convert_weight")) is None
    first = request(tmp_path)
    (tmp_path / "source").unlink()
    assert keys(first) is None
