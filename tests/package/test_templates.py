"""Conversation templates: the data files, and what is read of them."""

import json
from typing import Any

import jsonschema
import pytest

from mlcx.errors import UsageError
from mlcx.package.templates import TEMPLATES, load_template, template_names

SCHEMA = json.loads((TEMPLATES / "schema.json").read_text())
KEYS = """name system_template system_message system_prefix_token_ids
add_role_after_system_message roles role_templates messages seps role_content_sep
role_empty_sep stop_str stop_token_ids strip_reasoning_in_history function_string
use_function_calling"""


def prompt(template: dict[str, Any], *turns: tuple[str, str | None]) -> str:
    """Render a conversation by the rules of the format, for templates of this test."""
    system = ""
    if template["system_message"]:
        system = template["system_template"].replace(
            "{system_message}", template["system_message"]
        )
    text = system
    for position, (role, content) in enumerate(turns):
        name = template["roles"][role]
        if content is None:
            text += name + template["role_empty_sep"]
            continue
        if position or not system or template["add_role_after_system_message"]:
            text += name + template["role_content_sep"]
        text += template["role_templates"][role].replace(f"{{{role}_message}}", content)
        text += template["seps"][-1 if role == "assistant" else 0]
    return text


def test_the_llama_family_is_there() -> None:
    assert set(template_names()) >= {
        "LM",
        "chatml",
        "chatml_nosystem",
        "codellama_completion",
        "codellama_instruct",
        "hermes2_pro_llama3",
        "llama-2",
        "llama-3",
        "llama-3_1",
        "tinyllama_v1_0",
        "wizard_coder_or_math",
        "wizardlm_7b",
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


TURNS = (("user", "Hi"), ("assistant", "Yes?"), ("user", "Bye"), ("assistant", None))
HEADER = "<|start_header_id|>{}<|end_header_id|>\n\n"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "llama-2",
            "[INST] <<SYS>>\nYou are a helpful, respectful and honest assistant.\n"
            "<</SYS>>\n\nHi [/INST] Yes? </s><s>[INST] Bye [/INST] ",
        ),
        (
            "llama-3",
            HEADER.format("system")
            + "You are a helpful, respectful and honest assistant.<|eot_id|>"
            + HEADER.format("user")
            + "Hi<|eot_id|>"
            + HEADER.format("assistant")
            + "Yes?<|eot_id|>"
            + HEADER.format("user")
            + "Bye<|eot_id|>"
            + HEADER.format("assistant"),
        ),
        (
            "tinyllama_v1_0",
            "<|system|>\nYou are a helpful chatbot.</s><|user|>\nHi</s>"
            "<|assistant|>\nYes?</s><|user|>\nBye</s><|assistant|>\n",
        ),
        (
            "chatml_nosystem",
            "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nYes?<|im_end|>\n"
            "<|im_start|>user\nBye<|im_end|>\n<|im_start|>assistant\n",
        ),
        (
            "gemma_instruction",
            "<start_of_turn>user\nHi<end_of_turn>\n"
            "<start_of_turn>model\nYes?<end_of_turn>\n"
            "<start_of_turn>user\nBye<end_of_turn>\n<start_of_turn>model\n",
        ),
        (
            "mistral_default",
            "[INST] Help with care, respect and truth: give answers that are useful, "
            "and safe for everyone.Hi [/INST] Yes? [INST] Bye [/INST]",
        ),
        (
            "qwen2",
            "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
            "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nYes?<|im_end|>\n"
            "<|im_start|>user\nBye<|im_end|>\n<|im_start|>assistant\n",
        ),
        ("phi-2", "Instruct: Hi\nOutput: Yes?\nInstruct: Bye\nOutput:"),
        (
            "qwen3",
            "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
            "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nYes?<|im_end|>\n"
            "<|im_start|>user\nBye<|im_end|>\n<|im_start|>assistant\n",
        ),
        ("redpajama_chat", "<human>: Hi\n<bot>: Yes?\n<human>: Bye\n<bot>:"),
        (
            "olmo2",
            "<|user|>\nHi<|endoftext|>\n<|assistant|>\nYes?<|endoftext|>\n"
            "<|user|>\nBye<|endoftext|>\n<|assistant|>\n",
        ),
        (
            "stablelm-2",
            "<|user|>\nHi<|endoftext|><|assistant|>\nYes?<|endoftext|>"
            "<|user|>\nBye<|endoftext|><|assistant|>\n",
        ),
        ("wizardlm_7b", "User: Hi###Response: Yes?###User: Bye###Response:"),
        ("LM", "HiYes?Bye"),
    ],
)
def test_a_conversation_becomes_the_prompt_that_the_model_knows(
    name: str, expected: str
) -> None:
    assert prompt(load_template(name), *TURNS) == expected


def test_loading_gives_a_copy_of_ones_own() -> None:
    load_template("LM")["roles"]["user"] = "changed"
    assert load_template("LM")["roles"]["user"] == ""


@pytest.mark.parametrize("name", ["llama3", "schema", "../LM"])
def test_an_unknown_name_is_refused_with_those_that_exist(name: str) -> None:
    with pytest.raises(
        UsageError, match=r"unknown conversation template.*Expected one of LM"
    ):
        load_template(name)


def test_a_name_that_is_nearly_right_is_put_right() -> None:
    with pytest.raises(UsageError, match="did you mean 'llama-3'"):
        load_template("llama3")
