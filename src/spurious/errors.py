"""What can go wrong, by whose fault it is.

`InputError` and its children mean that the request or an input is wrong: the command line turns them into exit status
2 with their one message, which names the field, file and row. Everything else is a failure of ours: exit status 1.
"""


class SpuriousError(Exception):
    """Base of every error this package raises on purpose."""


class InputError(SpuriousError, ValueError):
    """The request or an input is wrong; nothing was lost and trying again unchanged will not help."""


class SpecError(InputError):
    """A specification names something unknown or contradicts itself."""


class DataError(InputError):
    """A problem set, label table or rollout file is unusable; the message names file, row and column."""


class NoLabelError(DataError):
    """A label transform leaves no problem to train on: there is no such run, whatever is done."""


class RewardError(InputError):
    """A reward could not be loaded, or returned something that is not one finite number per completion."""


class CheckpointError(InputError):
    """A model or checkpoint directory is missing, broken or of the wrong kind."""


class StoreError(InputError):
    """A run directory is in use, belongs to another specification, or is damaged."""


class LockedError(StoreError):
    """Another process is writing the run; once it is through, nothing is wrong."""


class ServerError(SpuriousError):
    """An OpenAI-compatible server stayed unreachable or kept answering nonsense after every retry."""


class NumericalError(SpuriousError):
    """A NaN or an infinity appeared in logits, loss, gradient or weights."""


def told_to_stop(error: BaseException | None) -> bool:
    """Whether an error is Ctrl-C, or what a library made of a Ctrl-C that reached it half-way."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__ or error.__context__
    return False
