"""The network of RWKV 5."""

from __future__ import annotations

from tvm.relax.frontend import nn

from mlcx.architectures.rwkv5 import MIXED, Config
from mlcx.nn import rwkv_mixing
from mlcx.nn.recurrence import Wkv, wkv5
from mlcx.nn.rwkv import Rwkv
from mlcx.nn.rwkv_mixing import Mixed, vector

__all__ = ["Attention", "FeedForward", "Model"]


class Model(Rwkv):
    """The language model, with activations in ``dtype``."""

    def __init__(self, config: Config, dtype: str) -> None:
        super().__init__(
            config, dtype, lambda: Attention(config), lambda: FeedForward(config)
        )


class Attention(rwkv_mixing.Attention):
    """Which mixes by the share of the token itself."""

    def __init__(self, config: Config) -> None:
        super().__init__(config, (config.num_heads, config.head_size))
        for part in MIXED:
            parameter = nn.Parameter((1, 1, config.hidden_size))
            setattr(self, f"time_mix_{part}", parameter)

    def mixed(self, x: nn.Tensor, shifted: nn.Tensor) -> Mixed:
        """Mix ``x`` (s, h) with itself, ``shifted`` by a token."""
        shares = (getattr(self, f"time_mix_{part}") for part in MIXED)
        receptance, key, value, gate = (_mix(x, shifted, share) for share in shares)
        return Mixed(receptance, key, value, gate, self.time_decay)

    def attend(
        self, x: Wkv, before: nn.Tensor, ends: nn.Tensor
    ) -> tuple[nn.Tensor, nn.Tensor]:
        """Return the outputs (s, h) and the states after them, both float32."""
        return wkv5(x, before, ends)


class FeedForward(rwkv_mixing.FeedForward):
    """Which mixes by the share of the token itself."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.time_mix_key = nn.Parameter((1, 1, config.hidden_size))
        self.time_mix_receptance = nn.Parameter((1, 1, config.hidden_size))

    def mixed(self, x: nn.Tensor, shifted: nn.Tensor) -> tuple[nn.Tensor, nn.Tensor]:
        """Mix ``x`` (s, h) with itself, ``shifted`` by a token: key and gate's."""
        key = _mix(x, shifted, self.time_mix_key)
        return key, _mix(x, shifted, self.time_mix_receptance)


def _mix(x: nn.Tensor, shifted: nn.Tensor, share: nn.Parameter) -> nn.Tensor:
    return shifted + (x - shifted) * vector(share)
