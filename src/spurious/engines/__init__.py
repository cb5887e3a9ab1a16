"""Other trainers and evaluators: their rollouts read back as our completion rows."""

from spurious.engines.read import FORMATS, FormatName, Rollouts, column_mapping, read, read_each

__all__ = ["FORMATS", "FormatName", "Rollouts", "column_mapping", "read", "read_each"]
