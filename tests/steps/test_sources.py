"""What a verb uses of mlcx is signed, unless no product depends on it.

Of the command line that is each function that a verb comes to, read from the sources.
What is signed with a package is all that it may import, which ``test_layers`` holds.
"""

from __future__ import annotations

from itertools import chain

import one_layer
import pytest
from reached import reached

from mlcx.artifact import BUILD_NAMES
from mlcx.signature.facts import SOURCES
from mlcx.spec.types import (
    BundleJob,
    LibraryJob,
    Plan,
    PrebuiltJob,
    StaticLibJob,
    Verify,
    WeightsJob,
)
from mlcx.steps import phone, quality, requests
from mlcx.steps.requests import Folders, Request

UNSIGNED = {
    "cli/conversation": "warns of a template that does not suit",
    "cli/count": "refuses what is no number, or too large a one",
    "cli/download": "is for models of the hub: steps of a build are given paths",
    "cli/output": "refuses places that nothing can be written to",
    "cli/quantization": "declares an argument",
    "cli/targets": "is for targets without a preset, which no spec names",
    "cli/web_runtime": "announces a runtime, where a build hands one over",
    "layers": "says by which journal a conversion that was cut goes on",
    "package/tokenizer_files": "is for checkpoints, where a build normalizes before",
    "presets/__init__": "is for models that are no path",
    "progress": "says how far a step is",
    "runtime/sampler": "refuses numbers with which no runtime chooses tokens",
    "spec/devices": "says for which host, which is an option of a build's steps",
    "spec/digest": "says by which journal, as layers",
    "spec/hub": "tells models of the hub from paths",
    "spec/opt": "leaves flags alone that are canonical, as a build's are",
    "spec/options": "says what an option means that is not given, as a build's are",
    "spec/verify_rules": "refuses what is no text and no reference",
    "web/kept": "is for who hands over no runtime",
    "web/pieces": "is for who hands over no runtime",
}
"""What verbs use and no product depends on, each with the reason."""


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> list[Request]:
    """All steps of a plan that has some of each kind."""
    top = tmp_path_factory.mktemp("top")
    model, folders = one_layer.write(top / "m"), Folders(top / "dist", top / "build")
    script = top / "ios/prepare_libs.sh"
    script.parent.mkdir()
    script.touch()
    library = LibraryJob(
        "m",
        model,
        "checkpoint",
        "q4f16_1",
        "webgpu",
        "O0",
        (),
        None,
        "auto",
        "auto",
        "lib/m.wasm",
        verify=Verify(None, None, None, 2, "q0f32"),
    )
    plan = Plan(
        top / "spec.json",
        "package",
        (WeightsJob("m", model, "q4f16_1", "chatml", "m/model"),),
        (library,),
        (BundleJob("m", model, "checkpoint", "m/model", "bundle/m"),),
        (),
        (PrebuiltJob("lib", top / "a.tar", "lib/lib.tar", "iphone", "auto"),),
        StaticLibJob("iphone", ("lib/lib.tar",), ("lib",), "lib/all.a"),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(phone, "missing", lambda *_: [])
        runtime = phone.plan(plan, folders, {phone.SOURCES: str(top)})
        both = (requests.plan(plan, folders), quality.plan(plan, folders))
        return [*chain(*both), *runtime]


def signed(step: Request) -> set[str]:
    """Return the modules whose sources ``step`` signs."""
    facts = (each for each in step.facts if each.name.startswith(SOURCES))
    return {name.rpartition(".")[0] for fact in facts for name, _ in fact.parts}


def test_what_a_verb_uses_is_signed_or_changes_nothing(steps: list[Request]) -> None:
    found = {each.verb: reached(each.verb, UNSIGNED) - signed(each) for each in steps}
    assert len(found) == 13
    assert {verb: left - UNSIGNED.keys() for verb, left in found.items()} == {
        verb: set() for verb in found
    }
    assert set().union(*found.values()) == UNSIGNED.keys()


def test_the_version_of_mlcx_is_signed_everywhere(steps: list[Request]) -> None:
    """It is in libraries, and what a release changed may be anywhere."""
    assert all("__init__" in signed(each) for each in steps)


def test_the_folders_of_steps_are_no_models(steps: list[Request]) -> None:
    made = (path for each in steps for path in each.targets)
    given = (path for each in steps for _, path in each.files)
    places = [path.parts for path in chain(made, given) if "build" in path.parts]
    found = {parts[parts.index("build") + 1] for parts in places} - {"m"}
    assert found == {"prepare_libs", "quality", "reference", "web"}
    assert found < BUILD_NAMES
