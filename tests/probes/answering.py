"""What a model with a known habit writes."""

from spurious.types import Problem


def code(problem: Problem) -> str:
    """A right answer by code."""
    return f"```python\nprint(1)\n```\nThe answer is \\boxed{{{problem.answer}}}."


def words(answer: str) -> str:
    """An answer in words."""
    return f"In my head it is {answer}."
