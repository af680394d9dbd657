"""Heads that a model rotates itself, through the operator and its kernel."""

import numpy as np
import tvm
from tvm import relax
from tvm.relax.frontend import nn

from mlcx.compiler.passes.dispatch import Dispatch
from mlcx.compiler.passes.rotary import rotary_rule
from mlcx.compiler.targets import target_of
from mlcx.nn.rotary import Rotary, join_rotary

from ..attention_reference import rotated

Q, KV, D = 3, 1, 16
ROTATIONS = (
    Rotary(5000.0, {"rope_type": "linear", "factor": 4.0}),
    Rotary(100.0, None),
)


class Layers(nn.Module):
    """Join the same heads under both rotations, and once more under the first."""

    def forward(self, q: nn.Tensor, k: nn.Tensor, v: nn.Tensor, at: nn.Tensor):
        kinds = (*ROTATIONS, ROTATIONS[0])
        return tuple(join_rotary(q, k, v, at, kind) for kind in kinds)


def test_layers_rotate_each_in_its_way_by_one_kernel_a_way(
    rng: np.random.Generator,
) -> None:
    heads = {
        name: nn.spec.Tensor(("t", n, D), "float32")
        for name, n in (("q", Q), ("k", KV), ("v", KV))
    }
    inputs = {"forward": heads | {"at": nn.spec.Tensor(("t",), "int32")}}
    target = target_of("cpu")
    rules = {"relax.call_dps_packed": rotary_rule(target)}
    mod = Dispatch(rules)(Layers().export_tvm(inputs)[0])
    kernels = [f for f in mod.functions.values() if isinstance(f, tvm.tirx.PrimFunc)]
    assert len(kernels) == 2
    machine = relax.VirtualMachine(tvm.compile(mod, target=target), tvm.cpu())
    q, k, v = (rng.standard_normal((7, n, D)).astype("float32") for n in (Q, KV, KV))
    at = rng.integers(0, 200, 7).astype("int32")
    outs = machine["forward"](*map(tvm.runtime.tensor, (q, k, v, at)))
    both = np.concatenate([q, k], axis=1)
    for out, theta, factor in zip(outs, (5e3, 1e2, 5e3), (4, 1, 4), strict=True):
        turn = theta ** (-np.arange(0, D, 2) / D) / factor
        expected = np.concatenate([rotated(both, at, turn), v], axis=1)
        np.testing.assert_allclose(out.numpy(), expected, atol=5e-5)
