import pytest
import tvm
from tvm import relax, tirx

from mlcx.compiler.kernels.cpu.gather import gather_rows
from mlcx.compiler.passes.additions import Additions, tensor


def one_function(name: str) -> Additions:
    additions = Additions({"n": 5})
    size = tirx.Var("n", "int64")
    params = [tensor(x, (size, 4), "float32") for x in ("src", "dst")]
    params.insert(1, tensor("indices", (size,), "int32"))
    additions.call_in_place(name, gather_rows(4, "float32"), params)
    return additions


def test_keeps_what_the_module_had():
    before = one_function("first").added_to(tvm.IRModule({}, attrs={"mark": 1}))
    after = one_function("second").added_to(before)
    names = {var.name_hint for var in after.get_global_vars()}
    assert names == {"first", "first_kernel", "second", "second_kernel"}
    assert after.attrs["mark"] == 1
    assert len(before.functions_items()) == 2
    assert relax.analysis.check_well_formed(after)


def test_bounds_go_to_graph_functions_alone():
    mod = one_function("first").added_to(tvm.IRModule())
    assert dict(mod["first"].attrs["tir_var_upper_bound"]) == {"n": 5}
    assert "tir_var_upper_bound" not in mod["first_kernel"].attrs


def test_a_name_is_never_given_twice():
    mod = one_function("first").added_to(tvm.IRModule())
    with pytest.raises(AssertionError, match="first_kernel"):
        one_function("first").added_to(mod)
