"""The small numbers that keep divisions finite; operators on record, so they stand apart from the tensors."""

STD_EPS = 1e-9
"""Added to a standard deviation before dividing by it, as the paper's code does."""

WHITEN_VARIANCE_FLOOR = 1e-8
"""Smallest variance whitening divides by, as the replay buffer of the paper's code (OpenRLHF's) does."""
