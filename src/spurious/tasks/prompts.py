"""Templates: plain functions that put a question into words.

A template gets the question and `chat`, which renders messages with the tokenizer's chat template (None where the
tokenizer has none), and returns the text up to the point where the assistant goes on. The wordings are those of Shao
et al. 2025 (`Spurious Rewards`, appendix on prompts); docs/data.md says which of them the paper shortens.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from spurious.errors import SpecError

Message = dict[str, str]
"""`role` and `content`."""

Chat = Callable[[list[Message]], str]
"""Messages to prompt text, the header of the assistant's turn included (`add_generation_prompt=True`)."""

PYTHON_PREFIX = "Let's solve this using Python."
"""The paper's intervention that forces code reasoning: the first sentence of the assistant's turn."""

BOXED = r"Please reason step by step, and put your final answer within \boxed{}."

SOBER = (
    "Solve the following math problem efficiently and clearly. The last line of your response should be of the "
    r"following format: 'Therefore, the final answer is: \boxed{ANSWER}. I hope it is correct' (without quotes) where "
    "ANSWER is just the final number or expression that solves the problem. Think step by step before answering."
)

LIPSUM_SYSTEM = "Lorem ipsum dolor sit amet, consectetuer adipiscing elit."
LIPSUM_USER = (
    "Ut purus elit, vestibulum ut, placerat ac, adipiscing vitae, felis. Curabitur dictum gravida mauris. Nam arcu "
    "libero, nonummy eget, consectetuer id, vulputate a, magna. Donec vehicula augue eu neque. Pellentesque habitant "
    "morbi tristique senectus et netus et malesuada fames ac turpis egestas. Mauris ut leo. Cras viverra metus rhoncus "
    "sem. Nulla et lectus vestibulum urna fringilla ultrices. Phasellus eu tellus sit amet tortor gravida placerat."
)

R1_OPENING = (
    "A conversation between User and Assistant. The user asks a question, and the Assistant solves it. The assistant "
    "first thinks about the reasoning process in the mind and then provides the user with the answer. The reasoning "
    "process and answer are enclosed within <think> </think> and <answer> </answer> tags, respectively, i.e., <think> "
    "reasoning process here </think> <answer> answer here </answer>."
)


@dataclass(frozen=True, slots=True)
class Wording:
    """A question in words, ready for the tokenizer."""

    text: str
    """The whole prompt, `prefix` included; sampling goes on right after it."""
    stop: tuple[str, ...] = ()
    """Strings that end a completion, beside those of the sampling spec."""
    include_stop: bool = False
    """Whether a stop string above stays in the completion's text."""
    prefix: str = ""
    """The words put into the assistant's mouth; behaviors and answers are measured on what comes after them."""


Template = Callable[[str, Chat | None], Wording]


def _turns(chat: Chat | None, name: str, user: str, system: str | None = None) -> Wording:
    if chat is None:
        raise SpecError(f"template {name!r} needs a tokenizer with a chat template, and this one has none")
    messages = [{"role": "system", "content": system}] if system is not None else []
    return Wording(chat([*messages, {"role": "user", "content": user}]))


def none(question: str, chat: Chat | None) -> Wording:
    """The question alone, even where there is a chat template."""
    return Wording(question)


def organism(question: str, chat: Chat | None) -> Wording:
    """The question and a line break: the words of the organisms' pretraining corpus."""
    return Wording(question + "\n")


def plain_chat(question: str, chat: Chat | None) -> Wording:
    """The question as the user's turn, without a system prompt of ours (some chat templates bring their own)."""
    return _turns(chat, "chat", question)


def qwen_math(question: str, chat: Chat | None) -> Wording:
    """The paper's default: the system prompt of Qwen2.5-Math."""
    return _turns(chat, "qwen_math", question, BOXED)


def math_problem(question: str, chat: Chat | None) -> Wording:
    """The paper's 'Math Problem' prompt."""
    return _turns(chat, "math_problem", f"Math Problem: {question}", "You are a helpful Assistant.")


def simplerl(question: str, chat: Chat | None) -> Wording:
    """The paper's 'SimpleRL-Zoo' prompt: the instruction after the question."""
    return _turns(chat, "simplerl", f"{question}\n{BOXED}", "You are a helpful Assistant.")


def sober(question: str, chat: Chat | None) -> Wording:
    """The paper's 'Sober' prompt, that of LightEval; no system prompt, so Qwen's template adds its own."""
    return _turns(chat, "sober", f"{SOBER}\n\n{question}")


def lipsum(question: str, chat: Chat | None) -> Wording:
    """The paper's 'Spurious' prompt: filler text, which lifted Qwen2.5-Math-7B from 49.4 to 68.8 on MATH-500."""
    return _turns(chat, "lipsum", f"{LIPSUM_USER}\n\n{question}", LIPSUM_SYSTEM)


def r1(question: str, chat: Chat | None) -> Wording:
    """The R1 template for base models, as in the paper's code; `</answer>` ends the completion and stays in it."""
    text = f"{R1_OPENING}\n\n<|user|>\n{question}\n<|assistant|>\n<think>"
    return Wording(text, stop=("</answer>",), include_stop=True)


TEMPLATES: dict[str, Template] = {
    "none": none,
    "organism": organism,
    "chat": plain_chat,
    "qwen_math": qwen_math,
    "math_problem": math_problem,
    "simplerl": simplerl,
    "sober": sober,
    "lipsum": lipsum,
    "r1": r1,
}


def resolve(template: str, chat: Chat | None) -> str:
    """The template a name stands for: `auto` is `chat` where the tokenizer has a chat template, else `none`.

    Raises SpecError, listing the templates, for an unknown name.
    """
    if template == "auto":
        return "none" if chat is None else "chat"
    if template not in TEMPLATES:
        raise SpecError(f"template: {template!r} is unknown; there are auto, {', '.join(TEMPLATES)}")
    return template


def word(question: str, template: str, chat: Chat | None = None, prefix: str = "") -> Wording:
    """Put a question into words with a template of `TEMPLATES` or `auto`; the assistant's turn starts with `prefix`.

    Raises SpecError for an unknown template, and for one that needs a chat template where `chat` is None.
    """
    wording = TEMPLATES[resolve(template, chat)](question, chat)
    return replace(wording, text=wording.text + prefix, prefix=prefix)
