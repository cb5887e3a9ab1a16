"""What can go wrong, by whose fault it is.

`InputError` and its children mean that the request or an input is wrong: the command line turns them into exit status
2 with their one message, which names the field, file and row. Everything else is a failure of ours: exit status 1.
"""

import errno
import os
from collections.abc import Collection


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


class Terminated(KeyboardInterrupt):
    """SIGTERM: to be treated as Ctrl-C is, but for the exit status."""


def told_to_stop(error: BaseException | None) -> KeyboardInterrupt | None:
    """Ctrl-C or SIGTERM, where an error is that, or what a library made of it when it was reached half-way."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return error
        error = error.__cause__ or error.__context__
    return None


FULL = (errno.ENOSPC, errno.EDQUOT)
UNWRITABLE = (*FULL, errno.EROFS, errno.EFBIG, errno.EIO)


def disk_full(error: BaseException | None) -> bool:
    """Whether an error, or one behind it, says that the disk or the quota is full."""
    return bool(disk_says(error, FULL))


def disk_says(error: BaseException | None, codes: Collection[int] = UNWRITABLE) -> str:
    """Why a disk took nothing more, in the system's words, where that is behind an error; libraries say it in words."""
    while error is not None:
        for code in codes:
            words = os.strerror(code)
            if (isinstance(error, OSError) and error.errno == code) or words.lower() in str(error).lower():
                return words
        error = error.__cause__ or error.__context__
    return ""
