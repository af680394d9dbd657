"""Chat templates in the layouts of well-known families, as short as they can be."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["LAYOUTS", "Layout"]


class Layout(NamedTuple):
    """A chat template, what it names, and what is told by it."""

    template: str
    tokens: dict[str, str]
    ends: tuple[int, ...]
    """Ids that end an answer, as ``generation_config.json`` of the family has them."""
    expected: str
    """The conversation template of MLC's that the family needs."""
    exact: bool


_BEGIN = "{% for m in messages %}"
_ASK = "{% endfor %}{% if add_generation_prompt %}"

_CHATML = (
    _BEGIN
    + "{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}"
    + _ASK
    + "{{ '<|im_start|>assistant\n' }}{% endif %}"
)
_QWEN3 = (
    _BEGIN
    + "{% set said = m.content %}"
    + "{% if m.role == 'assistant' and not loop.last %}"
    + "{% set said = said.split('</think>')[-1].lstrip('\n') %}{% endif %}"
    + "{{ '<|im_start|>' + m.role + '\n' + said + '<|im_end|>\n' }}"
    + _ASK
    + "{{ '<|im_start|>assistant\n' }}{% endif %}"
)
_LLAMA_3 = (
    "{{ bos_token }}"
    + _BEGIN
    + "{{ '<|start_header_id|>' + m.role + '<|end_header_id|>\n\n' }}"
    + "{{ m.content | trim + '<|eot_id|>' }}"
    + _ASK
    + "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
_DATED = (
    "{{ bos_token }}{% if messages[0].role == 'system' %}"
    "{% set told = messages[0].content %}{% set messages = messages[1:] %}"
    "{% else %}{% set told = '' %}{% endif %}"
    "{{ '<|start_header_id|>system<|end_header_id|>\n\nToday: '"
    " + strftime_now('%d %b %Y') + '\n\n' + told + '<|eot_id|>' }}"
) + _LLAMA_3.removeprefix("{{ bos_token }}")
_GEMMA = (
    "{{ bos_token }}{% if messages[0].role == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}"
    + _BEGIN
    + "{% set role = 'model' if m.role == 'assistant' else m.role %}"
    + "{{ '<start_of_turn>' + role + '\n' + m.content | trim + '<end_of_turn>\n' }}"
    + _ASK
    + "{{ '<start_of_turn>model\n' }}{% endif %}"
)
_MISTRAL = (
    "{% if messages[0].role == 'system' %}"
    "{% set told = messages[0].content + '\n\n' %}{% set messages = messages[1:] %}"
    "{% else %}{% set told = '' %}{% endif %}{{ bos_token }}"
    + _BEGIN
    + "{% if m.role == 'user' %}{% if loop.last %}{% set m = {'content': told + "
    + "m.content} %}{% endif %}{{ '[INST] ' + m.content + ' [/INST]' }}"
    + "{% else %}{{ ' ' + m.content + eos_token }}{% endif %}{% endfor %}"
)
_PHI_3 = (
    _BEGIN
    + "{{ '<|' + m.role + '|>\n' + m.content + '<|end|>\n' }}"
    + _ASK
    + "{{ '<|assistant|>\n' }}{% endif %}"
)

_BOS = {"bos_token": "<s>", "eos_token": "</s>"}
_HEADERS = {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"}
_IM = {"eos_token": "<|im_end|>"}

LAYOUTS = {
    "smollm2": Layout(
        _CHATML, {"bos_token": "<|im_start|>", **_IM}, (2,), "chatml", True
    ),
    "qwen2.5": Layout(_CHATML, _IM, (151645, 151643), "qwen2", True),
    "qwen3": Layout(_QWEN3, _IM, (151645, 151643), "qwen3", True),
    "llama3": Layout(_LLAMA_3, _HEADERS, (128001, 128009), "llama-3", True),
    "llama3.1": Layout(_DATED, _HEADERS, (128001, 128008, 128009), "llama-3_1", True),
    "gemma": Layout(
        _GEMMA,
        {"bos_token": "<bos>", "eos_token": "<eos>"},
        (1, 107),
        "gemma_instruction",
        True,
    ),
    "mistral": Layout(_MISTRAL, _BOS, (2,), "mistral_default", False),
    "phi3": Layout(_PHI_3, _BOS, (32000, 32001, 32007), "phi-3", True),
}
