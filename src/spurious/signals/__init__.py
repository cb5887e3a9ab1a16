"""What training is paid and what it is told: rewards and label transforms, treatment and placebo side by side."""

from spurious.signals.build import build_reward
from spurious.signals.contract import BuiltReward, NotReproducibleWarning, Reward, pay
from spurious.signals.labels import LABELS, Labeling, build_labels, check_label
from spurious.signals.rewards import REWARDS
from spurious.signals.votes import VOTES_SCHEMA, LabelReport, label_report, tally

__all__ = [
    "LABELS",
    "REWARDS",
    "VOTES_SCHEMA",
    "BuiltReward",
    "LabelReport",
    "Labeling",
    "NotReproducibleWarning",
    "Reward",
    "build_labels",
    "build_reward",
    "check_label",
    "label_report",
    "pay",
    "tally",
]
