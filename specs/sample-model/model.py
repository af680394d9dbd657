"""A small Llama in PyTorch: forward pass, simulated 4-bit weights, greedy decoding.

Parameter names are those of a Hugging Face checkpoint, so that ``state_dict`` is one.
Knows nothing of the training text.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from safetensors.torch import load_file
from torch import Tensor, nn

__all__ = ["CONFIG", "Llama", "greedy", "halved", "load", "quantized"]

CONFIG: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_act": "silu",
    "hidden_size": 192,
    "intermediate_size": 512,
    "num_hidden_layers": 4,
    "num_attention_heads": 6,
    "num_key_value_heads": 3,
    "head_dim": 32,
    "vocab_size": 1280,
    "max_position_embeddings": 512,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "rope_scaling": None,
    "attention_bias": False,
    "mlp_bias": False,
    "tie_word_embeddings": True,
    "initializer_range": 0.02,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "pad_token_id": 0,
    "torch_dtype": "float16",
    "use_cache": True,
}
"""What config.json says; the keys are Hugging Face's."""

HIDDEN = CONFIG["hidden_size"]
HEADS = CONFIG["num_attention_heads"]
KV_HEADS = CONFIG["num_key_value_heads"]
HEAD_DIM = CONFIG["head_dim"]
GROUP = 32


class RMSNorm(nn.Module):
    """Scale each row to a root mean square of one, then by ``weight``."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(HIDDEN))

    def forward(self, x: Tensor) -> Tensor:
        x = x.float()
        mean = x.square().mean(-1, keepdim=True)
        return x * torch.rsqrt(mean + CONFIG["rms_norm_eps"]) * self.weight


class Attention(nn.Module):
    """Causal attention with rotary positions; two query heads share a key head."""

    def __init__(self) -> None:
        super().__init__()
        self.q_proj = nn.Linear(HIDDEN, HEADS * HEAD_DIM, bias=False)
        self.k_proj = nn.Linear(HIDDEN, KV_HEADS * HEAD_DIM, bias=False)
        self.v_proj = nn.Linear(HIDDEN, KV_HEADS * HEAD_DIM, bias=False)
        self.o_proj = nn.Linear(HEADS * HEAD_DIM, HIDDEN, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        query = rotate(split_heads(self.q_proj(x)), cos, sin)
        key = rotate(split_heads(self.k_proj(x)), cos, sin)
        value = split_heads(self.v_proj(x))
        key, value = (t.repeat_interleave(HEADS // KV_HEADS, 1) for t in (key, value))
        scores = query @ key.transpose(2, 3) * HEAD_DIM**-0.5
        ahead = torch.ones(scores.shape[2:], dtype=torch.bool).triu(1)
        share = scores.masked_fill(ahead, -torch.inf).softmax(-1)
        return self.o_proj((share @ value).transpose(1, 2).flatten(2))


class MLP(nn.Module):
    """The gated feed-forward half of a block."""

    def __init__(self) -> None:
        super().__init__()
        inner = CONFIG["intermediate_size"]
        self.gate_proj = nn.Linear(HIDDEN, inner, bias=False)
        self.up_proj = nn.Linear(HIDDEN, inner, bias=False)
        self.down_proj = nn.Linear(inner, HIDDEN, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Block(nn.Module):
    """One layer: attention, then the feed-forward part, each added to its input."""

    def __init__(self) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm()
        self.self_attn = Attention()
        self.post_attention_layernorm = RMSNorm()
        self.mlp = MLP()

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), cos, sin)
        return x + self.mlp(self.post_attention_layernorm(x))


class Decoder(nn.Module):
    """Embedding, layers and final norm: what a checkpoint calls ``model``."""

    def __init__(self) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(CONFIG["vocab_size"], HIDDEN)
        self.layers = nn.ModuleList(Block() for _ in range(CONFIG["num_hidden_layers"]))
        self.norm = RMSNorm()


class Llama(nn.Module):
    """Tokens int64 (batch, length) to logits (batch, length, vocabulary)."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Decoder()
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                ends_branch = name.endswith(("o_proj.weight", "down_proj.weight"))
                depth = 2 * CONFIG["num_hidden_layers"] if ends_branch else 1
                nn.init.normal_(weight, std=0.04 / depth**0.5)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the logits of every position."""
        cos, sin = rotary(tokens.shape[1])
        x = self.model.embed_tokens(tokens)
        for layer in self.model.layers:
            x = layer(x, cos, sin)
        return F.linear(self.model.norm(x), self.model.embed_tokens.weight)


def split_heads(x: Tensor) -> Tensor:
    """Reshape (batch, length, heads * dim) to (batch, heads, length, dim)."""
    return x.unflatten(-1, (-1, HEAD_DIM)).transpose(1, 2)


def rotary(length: int) -> tuple[Tensor, Tensor]:
    """Return cosines and sines (length, head_dim) of positions 0 … length - 1."""
    exponent = torch.arange(0, HEAD_DIM, 2) / HEAD_DIM
    angle = torch.outer(torch.arange(length), CONFIG["rope_theta"] ** -exponent)
    angle = torch.cat((angle, angle), -1)
    return angle.cos(), angle.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn the pairs (i, i + head_dim / 2) of the last axis by their angles."""
    first, second = x.chunk(2, -1)
    return x * cos + torch.cat((-second, first), -1) * sin


def quantized(weight: Tensor) -> Tensor:
    """Return a matrix as q4f16_1 stores it: 15 levels for each 32 columns of a row.

    Anything but a matrix comes back as it is. The gradient passes straight through, so
    that training can see the rounding.
    """
    if weight.dim() != 2:
        return weight
    groups = weight.unflatten(-1, (-1, GROUP))
    scale = (groups.abs().amax(-1, keepdim=True) / 7).half().float().clamp_min(1e-8)
    level = (groups / scale + 7).round().clamp(0, 14) - 7
    return weight + ((level * scale).flatten(-2) - weight).detach()


def halved(weight: Tensor) -> Tensor:
    """Return ``weight`` rounded to bfloat16, as the files of q0f32 store it."""
    return weight.bfloat16().float()


def load(folder: Path, rounding: Callable[[Tensor], Tensor] | None = None) -> Llama:
    """Return the checkpoint in ``folder`` in float32, its weights rounded if asked."""
    found = json.loads((folder / "config.json").read_text())
    if found != CONFIG:
        message = f"{folder}/config.json describes another model than model.py"
        raise ValueError(message)
    weights = load_file(folder / "model.safetensors")
    model = Llama()
    whole = {name: weight.float() for name, weight in weights.items()}
    model.load_state_dict({k: rounding(v) if rounding else v for k, v in whole.items()})
    return model.eval()


@torch.no_grad()
def greedy(model: Llama, tokens: list[int], count: int, stop: int | None) -> list[int]:
    """Return up to ``count`` likeliest next tokens, without ``stop`` at the end."""
    made: list[int] = []
    while len(made) < count:
        best = int(model(torch.tensor([tokens + made]))[0, -1].argmax())
        if best == stop:
            break
        made.append(best)
    return made
