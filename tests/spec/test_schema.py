"""The schemas by themselves, and how a spec finds the one that it follows."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from mlcx.errors import InputError
from mlcx.package.templates import template_names
from mlcx.spec import check, load, opt, options
from mlcx.spec.devices import ALIASES, DEVICES
from mlcx.spec.schema import SCHEMAS, SpecKind, folder, kind_of
from mlcx.spec.schema import load as load_schema
from mlcx.spec.source import read

KINDS = list(SCHEMAS)
SPECS = Path(__file__).parents[2] / "specs"


def subschemas(schema: Any, pointer: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every subschema of ``schema`` that says something about a value."""
    yield pointer, schema
    for group in ("properties", "$defs"):
        for name, each in schema.get(group, {}).items():
            yield from subschemas(each, f"{pointer}/{group}/{name}")
    for keyword in ("items", "additionalProperties", "propertyNames"):
        if isinstance(schema.get(keyword), dict):
            yield from subschemas(schema[keyword], f"{pointer}/{keyword}")


def parts(*keywords: str) -> list[Any]:
    """Return every subschema that has one of ``keywords``, or simply every one."""
    return [
        pytest.param(kind, part, id=f"{kind}{pointer}")
        for kind in KINDS
        for pointer, part in subschemas(load_schema(kind))
        if not keywords or part.keys() & set(keywords)
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_a_schema_is_one_of_draft_2020_12(kind: SpecKind) -> None:
    schema = load_schema(kind)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"]
    jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize(("kind", "part"), parts("examples", "default"))
def test_examples_and_defaults_follow_the_schema_that_gives_them(
    kind: SpecKind, part: dict[str, Any]
) -> None:
    validator = jsonschema.Draft202012Validator(
        {"$defs": load_schema(kind)["$defs"], **part}
    )
    for value in part.get("examples", []):
        validator.validate(value)
    if "default" in part:
        validator.validate(part["default"])


@pytest.mark.parametrize(("kind", "part"), parts("$ref"))
def test_a_reference_says_only_what_its_target_leaves_open(
    kind: SpecKind, part: dict[str, Any]
) -> None:
    """VS Code lets the target win, so what stands here would never be shown."""
    target = load_schema(kind)["$defs"][part["$ref"].rpartition("/")[2]]
    assert not part.keys() & target.keys()


# A name is explained where it is used, each time differently.
EXPLAINED = [
    part
    for part in parts("$ref", "type", "enum")
    if not str(part.id).endswith("/$defs/name")
]


@pytest.mark.parametrize(("kind", "part"), EXPLAINED)
def test_every_part_explains_itself(kind: SpecKind, part: dict[str, Any]) -> None:
    name = part.get("$ref", "").rpartition("/")[2]
    described = {**load_schema(kind)["$defs"].get(name, {}), **part}
    assert described["title"]
    assert described["description"].endswith(".")


@pytest.mark.parametrize(("kind", "part"), parts("properties"))
def test_an_object_refuses_keys_that_it_does_not_know(
    kind: SpecKind, part: dict[str, Any]
) -> None:
    assert part["additionalProperties"] is False


@pytest.mark.parametrize(("kind", "part"), parts("pattern", "not"))
def test_a_pattern_comes_with_words_for_who_misses_it(
    kind: SpecKind, part: dict[str, Any]
) -> None:
    words = part["patternErrorMessage" if "pattern" in part else "errorMessage"]
    assert words.startswith("expected ")


def test_what_both_schemas_define_is_the_same() -> None:
    package, delivery = (load_schema(kind)["$defs"] for kind in KINDS)
    shared = package.keys() & delivery.keys() - {"device", "overrides", "schema"}
    assert {"model", "name", "quantization", "opt", "host"} <= shared
    assert all(package[name] == delivery[name] for name in shared)
    own = dict(package["overrides"]["properties"])
    del own["opt"]
    assert own == delivery["overrides"]["properties"]


def test_the_devices_are_those_of_the_table() -> None:
    package, delivery = (load_schema(kind)["$defs"]["device"] for kind in KINDS)
    assert set(package["enum"]) == set(DEVICES)
    assert set(delivery["enum"]) == {*DEVICES, *ALIASES}


def test_the_conversation_templates_are_those_that_there_are() -> None:
    entry = load_schema("package")["$defs"]["entry"]["properties"]
    assert entry["conv_template"]["enum"] == template_names()


@pytest.mark.parametrize("kind", KINDS)
def test_the_quantizations_are_those_of_the_table(kind: SpecKind) -> None:
    from mlcx.quant.scheme import SCHEMES

    assert set(load_schema(kind)["$defs"]["scheme"]["enum"]) == set(SCHEMES)


@pytest.mark.parametrize("kind", KINDS)
def test_the_overrides_are_those_that_compiling_takes(kind: SpecKind) -> None:
    from mlcx.compiler.compile_config import OVERRIDES

    properties = load_schema(kind)["$defs"]["overrides"]["properties"]
    names = {int: "integer", bool: "boolean"}
    expected = {key: names[type_] for key, type_ in OVERRIDES.items()}
    found = {key: part["type"] for key, part in properties.items() if key != "opt"}
    assert found == expected


@pytest.mark.parametrize("kind", KINDS)
def test_the_flags_are_those_of_the_table(kind: SpecKind) -> None:
    pattern = re.compile(load_schema(kind)["$defs"]["opt"]["pattern"])
    right = [*opt.PRESETS, *(f"{f}={v}" for f, vs in opt.FLAGS.items() for v in vs)]
    assert all(pattern.search(text) for text in [*right, ";".join(right[4:])])


@pytest.mark.parametrize("key", options.DEFAULTS)
def test_defaults_are_those_that_resolving_uses(key: str) -> None:
    given = [
        part["default"]
        for kind in KINDS
        for pointer, part in subschemas(load_schema(kind))
        if pointer.endswith(f"/{key}") and "default" in part
    ]
    assert set(given) == {options.DEFAULTS[key]}


def test_the_samples_name_their_schema_by_a_path_that_leads_there() -> None:
    samples = sorted(SPECS.glob("*.json"))
    assert len(samples) >= 2
    for sample in samples:
        target = (SPECS / read(sample).value["$schema"]).resolve()
        assert target.parent == folder().resolve()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "named", ["{name}", "../x/{name}", "https://e.org/{name}", "{id}"]
)
def test_a_named_schema_decides(
    write: Callable[..., str], kind: SpecKind, named: str
) -> None:
    named = named.format(name=SCHEMAS[kind], id=load_schema(kind)["$id"])
    other = {"tasks": [], "device": "cpu", "model_list": [], "binary_libs_dir": "x"}
    assert kind_of(read(write({**other, "$schema": named}))) == kind


def test_without_a_name_the_keys_decide(
    write: Callable[..., str],
    package: Callable[..., dict[str, Any]],
    delivery: Callable[..., dict[str, Any]],
) -> None:
    assert kind_of(read(write(package()))) == "package"
    assert kind_of(read(write(delivery()))) == "delivery"
    assert kind_of(read(write({"model_list": [], "devcie": "cpu"}))) == "package"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            {},
            "spec.json:1:1: cannot tell whether this is a package config or a "
            'delivery spec: expected "device" and "model_list", or "tasks"; found the '
            'keys: none. A "$schema" that names the schema file decides it',
        ),
        (
            {"device": "cpu", "tasks": []},
            'found the keys: "device", "tasks". A "$schema"',
        ),
        (
            {"$schema": "x/package.json", "tasks": []},
            'spec.json:2:13: expected the schema "mlc-package-config.schema.json" or '
            '"mlc-delivery-spec.schema.json", found "x/package.json"',
        ),
    ],
)
def test_a_spec_of_no_kind_is_refused(
    write: Callable[..., str], spec: dict[str, Any], message: str
) -> None:
    (problem,) = check([write(spec)])
    assert message in str(problem)


def test_a_valid_spec_is_not_validated_again_until_it_changes(
    write: Callable[..., str],
    package: Callable[..., dict[str, Any]],
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = []
    real = jsonschema.Draft202012Validator.iter_errors

    def spy(self: Any, value: Any) -> Any:
        seen.append(value)
        return real(self, value)

    monkeypatch.setattr(jsonschema.Draft202012Validator, "iter_errors", spy)
    stamp = here / "build" / "valid-specs"
    first = load(write(package()), stamp)
    assert len(seen) == 1
    assert load("spec.json", stamp) == first
    assert len(seen) == 1
    write(package(model_list=[]))
    load("spec.json", stamp)
    assert len(seen) == 2


def test_an_invalid_spec_is_refused_every_time(
    write: Callable[..., str], package: Callable[..., dict[str, Any]], here: Path
) -> None:
    write(package(device="gpu"))
    for _ in range(2):
        with pytest.raises(InputError):
            load("spec.json", here / "stamp")


def test_a_stamp_says_nothing_of_the_rules(
    write: Callable[..., str], package: Callable[..., dict[str, Any]], here: Path
) -> None:
    load(write(package()), here / "stamp")
    (here / "checkpoint" / "config.json").unlink()
    with pytest.raises(InputError, match="holds neither"):
        load("spec.json", here / "stamp")


def test_a_broken_stamp_is_as_good_as_none(
    write: Callable[..., str], package: Callable[..., dict[str, Any]], here: Path
) -> None:
    (here / "stamp").write_bytes(b"\xff\x00half a li")
    assert load(write(package()), here / "stamp").libraries
    assert load("spec.json", here / "stamp").libraries
