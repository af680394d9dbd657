from __future__ import annotations

from typing import Any

import pytest

from mlcx.errors import InputError
from mlcx.runtime.chat import Conversation, Message, conversation
from mlcx.runtime.fields import Fields

LLAMA_2 = {
    "system_template": "[INST] <<SYS>>\n{system_message}\n<</SYS>>\n\n",
    "system_message": "Be kind.",
    "system_prefix_token_ids": [1],
    "add_role_after_system_message": False,
    "roles": {"user": "<s>[INST]", "assistant": "[/INST]", "tool": "[INST]"},
    "seps": [" ", " </s>"],
    "role_content_sep": " ",
    "role_empty_sep": " ",
    "stop_str": ["[INST]"],
    "stop_token_ids": [2],
}

REDPAJAMA = {
    "name": "redpajama_chat",
    "system_template": "{system_message}",
    "system_message": "",
    "system_prefix_token_ids": None,
    "roles": {"user": "<human>", "assistant": "<bot>"},
    "role_templates": {"user": "{user_message}{function_string}"},
    "seps": ["\n"],
    "role_content_sep": ": ",
    "role_empty_sep": ":",
    "stop_str": ["<human>", ""],
    "stop_token_ids": [0],
}

TURNS = [
    Message("user", "Hi"),
    Message("assistant", "Hello"),
    Message("user", "Bye"),
    Message("assistant", None),
]


def template(value: dict[str, Any]) -> Conversation:
    return conversation(Fields("chat.json", value))


def test_the_first_role_is_left_out_after_a_system_message_when_so_asked() -> None:
    assert template(LLAMA_2).prompt(TURNS) == (
        "[INST] <<SYS>>\nBe kind.\n<</SYS>>\n\n"
        "Hi [/INST] Hello </s><s>[INST] Bye [/INST] "
    )


def test_a_template_with_one_separator_uses_it_for_all() -> None:
    assert template(REDPAJAMA).prompt(TURNS) == (
        "<human>: Hi\n<bot>: Hello\n<human>: Bye\n<bot>:"
    )


def test_a_given_system_message_replaces_the_templates() -> None:
    text = template(LLAMA_2).prompt(TURNS[:1], system="Be brief.")
    assert text == "[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nHi "


def test_the_history_of_the_template_comes_first() -> None:
    history = [["user", "1+1?"], ["assistant", "2"]]
    chat = template({**REDPAJAMA, "messages": history})
    assert chat.prompt(TURNS[3:]) == "<human>: 1+1?\n<bot>: 2\n<bot>:"


def test_braces_in_what_is_said_stay_as_they_are() -> None:
    said = [Message("user", "{user_message} {function_string}")]
    assert template(LLAMA_2).prompt(said).endswith("{user_message} {function_string} ")


def test_what_ends_an_answer_is_read_without_empty_strings() -> None:
    chat = template(REDPAJAMA)
    assert chat.stop_str == ("<human>",)
    assert chat.stop_token_ids == (0,)
    assert chat.system_prefix_token_ids == ()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seps": []}, "/seps: expected one or two separators, found 0"),
        ({"seps": None}, "/seps: expected a list, found nothing"),
        ({"roles": ["user"]}, "/roles: expected an object"),
        ({"roles": {"user": 3}}, "/roles/user: expected a string, found 3"),
        ({"stop_token_ids": [True]}, "/stop_token_ids/0: expected an integer"),
        ({"messages": [["user"]]}, "/messages/0: expected a list of a role and a text"),
        ({"add_role_after_system_message": 1}, "expected true or false, found 1"),
    ],
)
def test_a_wrong_value_is_named_with_its_place(
    change: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        template({**LLAMA_2, **change})


def test_a_role_that_the_template_lacks_is_named() -> None:
    with pytest.raises(InputError, match="/roles/user: expected a string"):
        template({**LLAMA_2, "roles": {"assistant": "a"}})


def test_a_history_of_an_unknown_role_is_refused() -> None:
    with pytest.raises(InputError, match="messages/0/0: expected one of user"):
        template(LLAMA_2 | {"messages": [["narrator", "Once"]]})
    with pytest.raises(InputError, match=r"0/0: expected one of user, assistant$"):
        template(REDPAJAMA | {"messages": [["tool", "3"]]})


THOUGHT = [
    Message("user", "1+1?"),
    Message("assistant", "<think>\nHm.\n</think>\n\n2"),
    Message("user", "Sure?"),
    Message("assistant", "<think>Again.</think>Yes"),
]


def test_answers_before_the_last_question_lose_their_thoughts_when_so_asked() -> None:
    chat = template(REDPAJAMA | {"strip_reasoning_in_history": True})
    assert chat.prompt(THOUGHT) == (
        "<human>: 1+1?\n<bot>: 2\n<human>: Sure?\n<bot>: <think>Again.</think>Yes\n"
    )
    assert "Hm." in template(REDPAJAMA).prompt(THOUGHT)


def test_a_place_for_functions_in_the_system_text_stays_empty() -> None:
    chat = template(
        LLAMA_2 | {"system_template": "<{system_message}>{function_string}"}
    )
    assert (
        chat.prompt(TURNS[:1], system="{function_string}") == "<{function_string}>Hi "
    )
