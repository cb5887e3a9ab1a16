"""Text to grade: our own extraction, then a ladder of ever more expensive comparisons. See docs/grading.md."""

from spurious.verify.extract import extract
from spurious.verify.grading import (
    GRADER_VERSION,
    Disagreement,
    check_gold,
    disagreements,
    equal,
    unparsable_golds,
    verify,
    verify_many,
)
from spurious.verify.ladder import canonical

__all__ = [
    "GRADER_VERSION",
    "Disagreement",
    "canonical",
    "check_gold",
    "disagreements",
    "equal",
    "extract",
    "unparsable_golds",
    "verify",
    "verify_many",
]
