"""Where problems come from, how they are asked and how their answers are graded."""

from spurious.tasks.base import Task
from spurious.tasks.load import TASKS, has_splits, load_bench, load_task, read_task

__all__ = ["TASKS", "Task", "has_splits", "load_bench", "load_task", "read_task"]
