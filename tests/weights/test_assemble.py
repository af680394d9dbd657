"""The order in which converted blocks are stored."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from mlcx.quant.group import GroupPacking
from mlcx.recipe import Recipe
from mlcx.weights.assemble import assemble
from mlcx.weights.convert import convert
from mlcx.weights.mapping import Parameter
from mlcx.weights.shards import Record

from .tiny_llama import Recorder, stored

BY_ROWS = GroupPacking(4, 32, "float16")
BY_COLUMNS = GroupPacking(4, 32, "float16", "KN")


def test_rows_go_to_the_first_record_at_once_and_to_the_others_later() -> None:
    parameter = Parameter("p.weight", (6, 32), "float16", BY_ROWS)
    records = [Record("a", (6, 4), "uint32"), Record("b", (6, 1), "float16")]
    pieces = [(np.zeros(1), np.ones(1)), (np.full(1, 2.0), np.full(1, 3.0))]
    appended = assemble(parameter, records, iter(pieces))
    found = [(record.name, float(array[0])) for record, array in appended]
    assert found == [("a", 0), ("a", 2), ("b", 1), ("b", 3)]


def test_strips_of_columns_are_put_side_by_side_in_bands_of_a_mebibyte() -> None:
    whole = np.arange(3000 * 1000, dtype=np.uint32).reshape(3000, 1000)
    parameter = Parameter("p.weight", (1000, 24000), "float16", BY_COLUMNS)
    record = Record("p.q_weight", whole.shape, "uint32")
    strips = [(whole[:, at : at + 300].copy(),) for at in range(0, 1000, 300)]
    bands = [array for _, array in assemble(parameter, [record], strips)]
    assert max(band.nbytes for band in bands) <= 1 << 20
    assert b"".join(band.tobytes() for band in bands) == whole.tobytes()


@pytest.mark.parametrize("packing", [BY_ROWS, BY_COLUMNS], ids=lambda one: one.layout)
@pytest.mark.parametrize("threads", [1, 3])
def test_a_weight_of_many_blocks_is_stored_as_if_packed_at_once(
    packing: GroupPacking, threads: int, tmp_path: Path, rng: np.random.Generator
) -> None:
    tops, bottoms = rng.standard_normal((2, 30000, 72)).astype(np.float16)
    save_file({"a": tops, "b": bottoms}, tmp_path / "model.safetensors")
    parameter = Parameter("p.weight", (60000, 72), "float16", packing)
    recipes = {"p.weight": Recipe(("a", "b"))}
    output = tmp_path / "out"
    convert([parameter], recipes, (), tmp_path, output, Recorder(), threads=threads)
    expected = packing.pack(np.concatenate([tops, bottoms]))
    found = stored(output)
    assert {name: array.tobytes() for name, array in expected.items()} == {
        name.removeprefix("p."): data for name, data in found.items()
    }
