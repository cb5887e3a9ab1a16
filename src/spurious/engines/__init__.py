"""Other trainers and evaluators: their rollouts read back as our completion rows."""

from spurious.engines.read import FORMATS, FormatName, Rollouts, column_mapping, read

__all__ = ["FORMATS", "FormatName", "Rollouts", "column_mapping", "read"]
