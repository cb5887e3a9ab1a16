import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spurious.errors import SpecError
from spurious.tasks.prompts import PYTHON_PREFIX, TEMPLATES, resolve, word


def chat(messages):
    """A chat template that shows its messages as they are."""
    return json.dumps([(m["role"], m["content"]) for m in messages]) + "<assistant>"


def turns(wording):
    return [tuple(turn) for turn in json.loads(wording.text.removesuffix("<assistant>"))]


BOXED = "Please reason step by step, and put your final answer within \\boxed{}."


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("chat", [("user", "1+1?")]),
        ("qwen_math", [("system", BOXED), ("user", "1+1?")]),
        ("math_problem", [("system", "You are a helpful Assistant."), ("user", "Math Problem: 1+1?")]),
        ("simplerl", [("system", "You are a helpful Assistant."), ("user", "1+1?\n" + BOXED)]),
    ],
)
def test_the_papers_short_prompts_word_for_word(template, expected):
    assert turns(word("1+1?", template, chat)) == expected


def test_sober_asks_for_a_last_line_and_brings_no_system_prompt():
    ((role, content),) = turns(word("1+1?", "sober", chat))
    assert role == "user"
    assert content.startswith(
        "Solve the following math problem efficiently and clearly. The last line of your response"
    )
    assert "'Therefore, the final answer is: \\boxed{ANSWER}. I hope it is correct'" in content
    assert content.endswith("Think step by step before answering.\n\n1+1?")


def test_the_spurious_prompt_is_lipsum_around_the_question():
    (_, system), (_, user) = turns(word("1+1?", "lipsum", chat))
    assert system == "Lorem ipsum dolor sit amet, consectetuer adipiscing elit."
    assert user.startswith("Ut purus elit, ")
    assert user.endswith("gravida placerat.\n\n1+1?")


def test_r1_needs_no_chat_template_and_keeps_its_stop_string():
    wording = word("1+1?", "r1", None)
    assert wording.text.startswith("A conversation between User and Assistant. The user asks a question, and the ")
    assert wording.text.endswith("<answer> answer here </answer>.\n\n<|user|>\n1+1?\n<|assistant|>\n<think>")
    assert wording.stop == ("</answer>",)
    assert wording.include_stop


def test_the_bare_templates():
    assert word("1+1?", "none", chat).text == "1+1?"
    assert word("1+1?", "organism", chat).text == "1+1?\n"


def test_auto_means_the_chat_template_where_there_is_one():
    assert resolve("auto", chat) == "chat"
    assert resolve("auto", None) == "none"
    assert word("q", "auto", chat) == word("q", "chat", chat)


def test_a_prefix_is_put_into_the_assistants_mouth_and_named():
    wording = word("q", "qwen_math", chat, PYTHON_PREFIX)
    assert wording.text == word("q", "qwen_math", chat).text + "Let's solve this using Python."
    assert wording.prefix == "Let's solve this using Python."


def test_an_unknown_template_is_named_and_the_known_ones_listed():
    with pytest.raises(SpecError, match=r"template: 'nope' is unknown; there are auto, none, .*r1"):
        word("q", "nope", chat)


@pytest.mark.parametrize("template", ["chat", "qwen_math", "math_problem", "simplerl", "sober", "lipsum"])
def test_a_template_of_turns_without_a_chat_template_is_an_error(template):
    with pytest.raises(SpecError, match=f"template '{template}' needs a tokenizer with a chat template"):
        word("q", template, None)


@given(st.text(min_size=1))
def test_every_template_carries_the_question_unchanged(question):
    def plain(messages):
        return "\n".join(message["content"] for message in messages)

    for template in TEMPLATES:
        assert question in word(question, template, plain).text
