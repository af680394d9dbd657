"""What holds for every architecture, tried on its tiny config."""

import re
from contextlib import suppress
from types import ModuleType
from typing import Any

import pytest

from mlcx.architectures import ARCHITECTURES, architecture
from mlcx.architectures.layer_names import layer_names
from mlcx.errors import InputError, UsageError
from mlcx.quant.apply import build, layers, parameters
from mlcx.quant.scheme import scheme

from . import references
from .conftest import tiny

RECURRENT = {"rwkv5", "rwkv6"}
"""Those that texts of any length can be fed to."""
each = pytest.mark.parametrize("name", ARCHITECTURES)


def config_of(name: str) -> tuple[ModuleType, Any]:
    module = architecture(name)
    return module, module.Config.from_hf(tiny(name))


@each
def test_a_normalized_config_reads_back_as_itself(name: str) -> None:
    module, config = config_of(name)
    assert module.Config.from_hf(config.to_dict()) == config


@each
def test_a_normalized_config_has_what_every_library_is_compiled_from(name: str) -> None:
    _, config = config_of(name)
    fields = config.to_dict()
    wanted = "vocab_size context_window_size prefill_chunk_size tensor_parallel_shards"
    assert all(type(fields[key]) is int for key in wanted.split())


@each
@pytest.mark.parametrize("quantization", ["q0f32", "q4f16_0"])
def test_the_first_that_a_library_takes_has_a_row_for_each_id(
    name: str, quantization: str
) -> None:
    module, config = config_of(name)
    model = build(module, config, scheme(quantization))
    table = next(iter(model.parameters()))
    assert int(table.shape[0]) == config.to_dict()["vocab_size"]


@pytest.mark.parametrize("name", sorted(set(ARCHITECTURES) - RECURRENT))
def test_a_config_without_its_length_is_refused(name: str) -> None:
    module, config = config_of(name)
    fields = config.to_dict() | {"max_position_embeddings": None}
    for key in ("context_window_size", "sliding_window_size", "n_positions"):
        fields[key] = None
    with pytest.raises(InputError, match="'max_position_embeddings': expected"):
        module.Config.from_hf(fields)


ROPE = {"position_embedding_base", "rope_theta", "rotary_emb_base"}
"""What configs call the base of RoPE."""


def base_of(name: str, **said: object) -> float:
    """Return the base of RoPE of a tiny config that tells it as ``said`` alone."""
    unsaid = ROPE | {"rope_scaling", "rope_parameters"}
    plain = {key: value for key, value in tiny(name).items() if key not in unsaid}
    config = architecture(name).Config.from_hf(plain | said).to_dict()
    return float(next(config[key] for key in ROPE if key in config))


@each
def test_the_base_of_rope_is_read_wherever_it_is_and_only_one(name: str) -> None:
    if ROPE.isdisjoint(tiny(name)):
        pytest.skip("its tiny config tells none")
    within = {"rope_theta": 70}
    for said in (within, {"rope_scaling": within}, {"rope_parameters": within}):
        assert base_of(name, **said) == 70
        assert base_of(name, **{"rope_theta": 70} | said) == 70
    with pytest.raises(InputError, match=r"one rope_theta, found 71.0 .* and 70.0 "):
        base_of(name, rope_theta=71, rope_scaling=within)


@pytest.mark.parametrize("wrong", [-1, 1.5, "x", [1], {"a": 1}, True], ids=repr)
@each
def test_a_field_with_any_value_is_read_or_refused_with_a_message(
    name: str, wrong: object
) -> None:
    module, config = config_of(name)
    nested = {"rope_scaling", "rope_parameters", "layer_types", "mlp_only_layers"}
    for key in {*tiny(name), *config.to_dict(), *nested}:
        with suppress(InputError):
            module.weights(module.Config.from_hf(tiny(name, **{key: wrong})))


@each
def test_every_recipe_makes_a_parameter_and_no_other_takes_its_tensors(
    name: str,
) -> None:
    module, config = config_of(name)
    plain = scheme("q0f16")
    names = [one.name for one in parameters(module, config, plain)]
    taken: list[str] = []
    for pattern, recipe in module.weights(config).items():
        known = re.compile(re.escape(pattern).replace(r"\{i\}", "[0-9]+"))
        assert any(known.fullmatch(one) for one in names), pattern
        # A tied head is a copy of the embedding where MLC has it apart.
        taken += () if pattern == "lm_head.weight" else recipe.tensors
    assert len(taken) == len(set(taken))
    assert not set(taken) & set(module.UNUSED)


@each
def test_a_tied_head_is_the_embedding_and_another_is_not(name: str) -> None:
    module, plain = architecture(name), scheme("q0f16")
    found = {}
    for tied in (True, False):
        with suppress(InputError):
            config = module.Config.from_hf(tiny(name, tie_word_embeddings=tied))
            known = {param.name: param for param in parameters(module, config, plain)}
            recipes = module.weights(config)
            found[tied] = {
                recipes[each].tensors if each in recipes else (each,)
                for each, param in known.items()
                if len(param.shape) == 2 and param.shape[0] == config.vocab_size
            }
    assert found
    assert all(len(tables) == (1 if tied else 2) for tied, tables in found.items())


@each
def test_group_quantization_takes_the_large_matrices_alone(name: str) -> None:
    module, config = config_of(name)
    listed = parameters(module, config, scheme("q4f16_1"))
    layers = [one for one in listed if one.name.endswith(".weight")]
    # What looks like a router, small and called gate, MLC does not quantize.
    large = [one for one in layers if not one.name.endswith("gate.weight")]
    assert all(one.packing for one in large if len(one.shape) == 2)
    assert not any(one.packing for one in listed if len(one.shape) == 1)


@each
def test_its_layers_are_those_of_the_network(name: str) -> None:
    module, plain = architecture(name), scheme("q0f16")
    cases = [tiny(name)]
    if name in references.families():
        cases += references.family(name).cases.values()
    found, listed = set[str](), set[str]()
    for fields in cases:
        config = module.Config.from_hf(fields)
        found |= {layer.name for layer in layers(module, config, plain)}
        listed |= {*layer_names(module, config)}
    assert found <= listed
    # Blocks of another kind, and a head of its own, which no case may have at a place.
    left = {re.sub("[0-9]+", "*", each) for each in listed - found}
    assert left <= {re.sub("[0-9]+", "*", each) for each in found}


def test_an_unknown_architecture_is_refused_with_the_closest_name() -> None:
    with pytest.raises(UsageError, match=r"'lama': did you mean 'llama'\?"):
        architecture("lama")
