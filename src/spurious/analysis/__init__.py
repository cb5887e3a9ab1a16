"""From rows to evidence: paired differences, intervals, tests and the verdict of an audit. Tables in, numbers out."""

from spurious.analysis.comparison import Comparison, Family, compare, compare_family
from spurious.analysis.outcomes import CORRECT, Differences, Outcomes, outcome, paired_differences, read_outcomes
from spurious.analysis.rule import decide, margin_from, sign_of
from spurious.analysis.verdicts import Evidence, ModelVerdict, Verdict, Wording

__all__ = [
    "CORRECT",
    "Comparison",
    "Differences",
    "Evidence",
    "Family",
    "ModelVerdict",
    "Outcomes",
    "Verdict",
    "Wording",
    "compare",
    "compare_family",
    "decide",
    "margin_from",
    "outcome",
    "paired_differences",
    "read_outcomes",
    "sign_of",
]
