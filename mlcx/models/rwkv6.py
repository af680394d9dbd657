"""The network of RWKV 6."""

from __future__ import annotations

from tvm.relax.frontend import nn
from tvm.relax.frontend.nn import op

from mlcx.architectures.rwkv6 import MIXED, Config
from mlcx.nn import rwkv_mixing
from mlcx.nn.recurrence import Wkv, wkv6
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
    """Which mixes by weights that depend on a first mixture."""

    def __init__(self, config: Config) -> None:
        h = config.hidden_size
        super().__init__(config, (1, 1, h))
        mix, decay = (64, 128) if h == 4096 else (32, 64)
        for part in ("x", *MIXED):
            setattr(self, f"time_maa_{part}", nn.Parameter((1, 1, h)))
        self.time_maa_w1 = nn.Parameter((h, len(MIXED) * mix))
        self.time_maa_w2 = nn.Parameter((len(MIXED), mix, h))
        self.time_decay_w1 = nn.Parameter((h, decay))
        self.time_decay_w2 = nn.Parameter((decay, h))

    def mixed(self, x: nn.Tensor, shifted: nn.Tensor) -> Mixed:
        """Mix ``x`` (s, h) with itself, ``shifted`` by a token."""
        step = shifted - x
        parts, rank, _ = self.time_maa_w2.shape
        first = x + step * vector(self.time_maa_x)
        low = _tanh(op.matmul(first, self.time_maa_w1))
        low = op.permute_dims(op.reshape(low, (x.shape[0], parts, rank)), (1, 0, 2))
        learnt = op.split(op.matmul(low, self.time_maa_w2), len(MIXED), axis=0)
        decay, key, value, receptance, gate = (
            x + step * (vector(getattr(self, f"time_maa_{part}")) + op.squeeze(own, 0))
            for part, own in zip(MIXED, learnt, strict=True)
        )
        low = _tanh(op.matmul(decay, self.time_decay_w1))
        decay = op.matmul(low, self.time_decay_w2).astype("float32")
        decay = decay + vector(self.time_decay)
        return Mixed(receptance, key, value, gate, decay)

    def attend(
        self, x: Wkv, before: nn.Tensor, ends: nn.Tensor
    ) -> tuple[nn.Tensor, nn.Tensor]:
        """Return the outputs (s, h) and the states after them, both float32."""
        return wkv6(x, before, ends)


class FeedForward(rwkv_mixing.FeedForward):
    """Which mixes by ``time_maa_k`` and ``time_maa_r``, the last token's share."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.time_maa_k = nn.Parameter((1, 1, config.hidden_size))
        self.time_maa_r = nn.Parameter((1, 1, config.hidden_size))

    def mixed(self, x: nn.Tensor, shifted: nn.Tensor) -> tuple[nn.Tensor, nn.Tensor]:
        """Mix ``x`` (s, h) with itself, ``shifted`` by a token: key and gate's."""
        step = shifted - x
        key = x + step * vector(self.time_maa_k)
        return key, x + step * vector(self.time_maa_r)


def _tanh(x: nn.Tensor) -> nn.Tensor:
    return op.tanh(x.astype("float32")).astype(x.dtype)
