"""A RunSpec on TRL's GRPOTrainer (1.16), in one process or many: same problems, noise, rewards, rows and directory.

Ours: which problems, the sampler (or vLLM), reward and grade, advantages, which rows make an update, the optimizer and
its learning rate, the run directory. TRL's: forward and backward pass, loss, gradient clipping, processes.

Importing this package imports neither torch nor TRL.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spurious.engines.trl.run import train

__all__ = ["train"]


def __getattr__(name: str) -> Any:
    """Load `train` on first use."""
    if name == "train":
        from spurious.engines.trl.run import train

        return train
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
