"""Conversation templates: the data files, and the prompts that come of them."""

import hashlib
import json
import re

import jsonschema
import pytest

from mlcx.errors import UsageError
from mlcx.package.templates import TEMPLATES, load_template, template_names
from mlcx.runtime.chat import Conversation, Message, conversation
from mlcx.runtime.fields import Fields

SCHEMA = json.loads((TEMPLATES / "schema.json").read_text())
KEYS = """name system_template system_message system_prefix_token_ids
add_role_after_system_message roles role_templates messages seps role_content_sep
role_empty_sep stop_str stop_token_ids strip_reasoning_in_history function_string
use_function_calling"""

TURNS = [
    Message("user", "Hi"),
    Message("assistant", "Yes?"),
    Message("user", "Bye"),
    Message("assistant", None),
]


def chatml(head: str, reply: str = "<|im_start|>assistant") -> str:
    return (
        f"{head}<|im_start|>user\nHi<|im_end|>\n{reply}\nYes?<|im_end|>\n"
        f"<|im_start|>user\nBye<|im_end|>\n{reply}\n"
    )


def llama(start: str, end: str, turn: str) -> str:
    system, user, reply = (
        f"{start}{role}{end}\n\n" for role in ("system", "user", "assistant")
    )
    return f"{system}S{turn}{user}Hi{turn}{reply}Yes?{turn}{user}Bye{turn}{reply}"


def angular(head: str, end: str, user: str = "<|user|>") -> str:
    reply = "<|assistant|>"
    return f"{head}{user}\nHi{end}{reply}\nYes?{end}{user}\nBye{end}{reply}\n"


SYSTEM = "<|im_start|>system\nS<|im_end|>\n"
GEMMA = (
    "S<start_of_turn>user\nHi<end_of_turn>\n<start_of_turn>model\nYes?<end_of_turn>\n"
    "<start_of_turn>user\nBye<end_of_turn>\n<start_of_turn>model\n"
)
EOS = "<｜end▁of▁sentence｜>"  # noqa: RUF001 (DeepSeek's own bars)
DEEPSEEK = f"SUser: Hi\n\nAssistant: Yes?{EOS}User: Bye\n\nAssistant:"
REASONER = (
    f"<｜begin▁of▁sentence｜>S<｜User｜>Hi<｜Assistant｜>Yes?{EOS}"  # noqa: RUF001
    "<｜User｜>Bye<｜Assistant｜>"  # noqa: RUF001
)
COHERE = "<|START_OF_TURN_TOKEN|><|{}_TOKEN|>{}<|END_OF_TURN_TOKEN|>"
MINISTRAL = "[SYSTEM_PROMPT]S[/SYSTEM_PROMPT][INST]Hi[/INST]Yes?</s>[INST]Bye[/INST]"

PROMPTS = {
    "LM": "SHiYes?Bye",
    "aya-23": COHERE.format("SYSTEM", "S")
    + COHERE.format("USER", "Hi")
    + COHERE.format("CHATBOT", "Yes?")
    + COHERE.format("USER", "Bye")
    + "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>",
    "chatml": chatml(SYSTEM),
    "chatml_nosystem": chatml("S"),
    "codellama_completion": "SHiYes?Bye",
    "codellama_instruct": "S[INST] Hi [/INST] Yes? [INST] Bye [/INST] ",
    "deepseek": DEEPSEEK,
    "deepseek_r1_llama": REASONER,
    "deepseek_r1_qwen": REASONER,
    "deepseek_v2": DEEPSEEK,
    "deepseek_v3": REASONER,
    "dolly": "S### Instruction:\nHi\n\n### Response:\nYes?### End\n"
    "### Instruction:\nBye\n\n### Response:\n",
    "gemma3_instruction": GEMMA,
    "gemma_instruction": GEMMA,
    "glm": "S问: Hi\n\n答: Yes?\n\n问: Bye\n\n答:",
    "gorilla": "SUSER: <<question>> Hi <<function>> \nASSISTANT: Yes?</s>"
    "USER: <<question>> Bye <<function>> \nASSISTANT:",
    "gorilla-openfunctions-v2": "S### Instruction: <<function>>\n<<question>>Hi\n"
    "### Response: Yes?<|EOT|>### Instruction: <<function>>\n<<question>>Bye\n"
    "### Response: ",
    "gpt2": "SHiYes?Bye",
    "gpt_bigcode": "SHiYes?Bye",
    "hermes2_pro_llama3": chatml(SYSTEM),
    "hermes3_llama-3_1": chatml(SYSTEM),
    "llama-2": "[INST] <<SYS>>\nS\n<</SYS>>\n\nHi [/INST] Yes? </s>"
    "<s>[INST] Bye [/INST] ",
    "llama-3": llama("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
    "llama-3_1": llama("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
    "llama-4": llama("<|header_start|>", "<|header_end|>", "<|eot|>"),
    "llava": "SHi ASSISTANT: Yes? USER: Bye ASSISTANT:",
    "llm-jp": "S\n\n### 指示:\nHi\n\n### 応答:\nYes?</s>"
    "\n\n### 指示:\nBye\n\n### 応答:\n",
    "ministral3": MINISTRAL,
    "ministral3_reasoning": MINISTRAL,
    "mistral_default": "[INST] SHi [/INST] Yes? [INST] Bye [/INST]",
    "nemotron": "<extra_id_0>System\nS\n\n<extra_id_1>User\nHi\n"
    "<extra_id_1>Assistant\nYes?\n<extra_id_1>User\nBye\n<extra_id_1>Assistant\n",
    "neural_hermes_mistral": chatml(SYSTEM),
    "oasst": "S<|prompter|>: Hi<|endoftext|><|assistant|>: Yes?<|endoftext|>"
    "<|prompter|>: Bye<|endoftext|><|assistant|>: ",
    "olmo": angular("S", "\n"),
    "olmo2": angular("<|system|>\nS\n", "<|endoftext|>\n"),
    "open_hermes_mistral": chatml(SYSTEM),
    "orion": "SHuman: Hi\n\nAssistant: Yes?</s>Human: Bye\n\nAssistant: </s>",
    "phi-2": "SInstruct: Hi\nOutput: Yes?\nInstruct: Bye\nOutput:",
    "phi-3": angular("<|system|>\nS", "<|end|>\n"),
    "phi-3-vision": angular("S", "<|end|>\n"),
    "phi-4": angular("<|system|>\nS", "<|end|>\n"),
    "qwen2": chatml(SYSTEM),
    "qwen3": chatml(SYSTEM),
    "qwen3_5": chatml(SYSTEM, "<|im_start|>assistant\n<think>"),
    "qwen3_5_nothink": chatml(SYSTEM, "<|im_start|>assistant\n<think>\n\n</think>\n"),
    "redpajama_chat": "S<human>: Hi\n<bot>: Yes?\n<human>: Bye\n<bot>:",
    "rwkv_world": "User: hi\n\nAssistant: SUser: Hi\n\nAssistant: Yes?\n\n"
    "User: Bye\n\nAssistant: ",
    "stablelm": "S<|USER|>: Hi<|ASSISTANT|>: Yes?<|USER|>: Bye<|ASSISTANT|>: ",
    "stablelm-2": angular("S", "<|endoftext|>"),
    "stablelm-3b": angular("S", "<|endoftext|>"),
    "tinyllama_v1_0": angular("<|system|>\nS</s>", "</s>"),
    "wizard_coder_or_math": "SInstruction:\nHi\n\n### Response:\nYes?\n\n"
    "### Instruction:\nBye\n\n### Response:\n",
    "wizardlm_7b": "SUser: Hi###Response: Yes?###User: Bye###Response:",
}
"""What the model was tuned on, with the system message S."""

IDS = """
LM 1 | 2                        aya-23 5 | 6 255001
chatml | 2                      chatml_nosystem | 2
codellama_completion 1 | 2      codellama_instruct 1 | 2
deepseek 100000 | 100001        deepseek_v2 100000 | 100001
deepseek_r1_llama | 128001      deepseek_r1_qwen | 151643
deepseek_v3 | 1                 dolly | 50256
gemma3_instruction 2 | 1 106    gemma_instruction 2 | 1 107
glm 64790 64792 | 2             gorilla 1 | 2
gorilla-openfunctions-v2 100000 | 100015
gpt2 | 50256                    gpt_bigcode | 0
hermes2_pro_llama3 | 128001 128009 128003
hermes3_llama-3_1 | 128001 128008 128009 128040
llama-2 1 | 2                   llama-3 128000 | 128001 128009
llama-3_1 128000 | 128001 128008 128009
llama-4 200000 | 200001 200007 200008
llava 1 | 2                     llm-jp 1 | 2
ministral3 1 | 2                ministral3_reasoning 1 | 2
mistral_default 1 | 2           nemotron 2 | 3
neural_hermes_mistral | 2 32000
oasst | 2                       olmo 50279 | 50279
olmo2 100257 | 100257           open_hermes_mistral | 2 32000
orion 1 | 2                     phi-2 | 50256
phi-3 1 | 2 32000 32001 32007   phi-3-vision 1 | 2 32000 32001 32007
phi-4 200022 | 199999 200020    qwen2 | 151643 151645
qwen3 | 151643 151645           qwen3_5 | 248046 248044
qwen3_5_nothink | 248046 248044
redpajama_chat | 0              rwkv_world | 0
stablelm | 50278 50279 50277 1 0
stablelm-2 | 100257             stablelm-3b | 0
tinyllama_v1_0 | 2              wizard_coder_or_math 1 | 2
wizardlm_7b 1 | 2
"""
"""Name, ids before the prompt | ids that end an answer."""

MESSAGES = {
    "chatml": "2bc9733b9782",
    "deepseek_r1_llama": "c0f0436021b6",
    "deepseek_r1_qwen": "c0f0436021b6",
    "dolly": "1678ff0c9fe5",
    "hermes2_pro_llama3": "1691af48af21",
    "mistral_default": "98aaa7df4de6",
    "open_hermes_mistral": "1691af48af21",
    "phi-3": "dacce61eb9b0",
    "phi-4": "dacce61eb9b0",
    "rwkv_world": "0f0ba47a82d1",
    "stablelm": "a319ec3a6fbe",
    "wizard_coder_or_math": "1678ff0c9fe5",
}
"""Where MLC LLM's default is a long one: how its SHA-256 begins."""


def loaded(name: str) -> Conversation:
    return conversation(Fields(name, load_template(name)))


def ids() -> dict[str, tuple[list[int], list[int]]]:
    """Return the table IDS: name to both lists."""
    rows = re.findall(r"([\w-]*[A-Za-z_][\w-]*)((?: \d+)*) \|((?: \d+)+)", IDS)
    return {
        name: ([int(i) for i in first.split()], [int(i) for i in last.split()])
        for name, first, last in rows
    }


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("name", template_names())
def test_a_file_holds_to_the_schema_and_is_named_by_its_template(name: str) -> None:
    content = json.loads((TEMPLATES / f"{name}.json").read_text())
    jsonschema.Draft202012Validator(SCHEMA).validate(content)
    assert content["name"] == name


@pytest.mark.parametrize("name", template_names())
def test_a_loaded_template_has_every_key_in_order(name: str) -> None:
    template = load_template(name)
    assert list(template) == KEYS.split()
    assert list(template["role_templates"]) == ["user", "assistant", "tool"]


def test_what_a_file_leaves_out_has_the_default_of_the_schema() -> None:
    template = load_template("LM")
    given = json.loads((TEMPLATES / "LM.json").read_text())
    for key, rule in SCHEMA["properties"].items():
        if key not in given and key != "$schema":
            assert template[key] == rule.get("default"), key


def test_the_templates_of_mlc_llm_are_all_there() -> None:
    assert len(PROMPTS) == 53
    assert sorted(PROMPTS) == sorted(ids()) == template_names()


@pytest.mark.parametrize("name", PROMPTS)
def test_a_conversation_becomes_the_prompt_that_the_model_knows(name: str) -> None:
    assert loaded(name).prompt(TURNS, system="S") == PROMPTS[name]


@pytest.mark.parametrize("name", PROMPTS)
def test_tokens_go_before_the_prompt_and_others_end_the_answer(name: str) -> None:
    template = loaded(name)
    found = [*template.system_prefix_token_ids], [*template.stop_token_ids]
    assert found == ids()[name]
    assert all(template.stop_str), "an empty string would end an answer at once"


@pytest.mark.parametrize("name", MESSAGES)
def test_a_default_system_message_is_the_one_of_mlc_llm(name: str) -> None:
    digest = hashlib.sha256(load_template(name)["system_message"].encode()).hexdigest()
    assert digest.startswith(MESSAGES[name])


def test_only_qwen_3_forgets_what_it_thought() -> None:
    names = [n for n in PROMPTS if load_template(n)["strip_reasoning_in_history"]]
    assert names == ["qwen3"]


def test_loading_gives_a_copy_of_ones_own() -> None:
    load_template("LM")["roles"]["user"] = "changed"
    assert load_template("LM")["roles"]["user"] == ""


@pytest.mark.parametrize("name", ["llama3", "schema", "../LM"])
def test_an_unknown_name_is_refused_with_those_that_exist(name: str) -> None:
    with pytest.raises(
        UsageError, match=r"unknown conversation template.*[Ee]xpected one of LM"
    ):
        load_template(name)


def test_a_name_that_is_nearly_right_is_put_right() -> None:
    with pytest.raises(UsageError, match="did you mean 'llama-3'"):
        load_template("llama3")


def test_a_name_that_mlc_llm_offers_without_a_template_is_explained() -> None:
    with pytest.raises(UsageError, match=r"'llama_default'.*no such template.*llama-3"):
        load_template("llama_default")
