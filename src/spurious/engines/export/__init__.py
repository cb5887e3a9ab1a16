"""A run of ours as the files another trainer starts from: its settings, its data, the reward, and a script.

Every field of a RunSpec is mapped, or is refused by its name; what a trainer does that ours does not (a clamp that
cannot be switched off, another epsilon) is written down in the `export.json` beside the files.
"""

from spurious.engines.export.job import Job, problems_in_order
from spurious.engines.export.openrlhf import VERSION as OPENRLHF_VERSION
from spurious.engines.export.openrlhf import write as write_openrlhf
from spurious.engines.export.verl import VERSION as VERL_VERSION
from spurious.engines.export.verl import write as write_verl

WRITERS = {"verl": write_verl, "openrlhf": write_openrlhf}
"""Trainers that runs are exported to."""

__all__ = ["OPENRLHF_VERSION", "VERL_VERSION", "WRITERS", "Job", "problems_in_order"]
