"""The command line: arguments in, one function called. Commands are imported only when used.

Results go to standard output, progress and messages to standard error. Exit status: 0 done; 2 the request or an input
is wrong; 1 anything else; 130 interrupted by Ctrl-C, 143 by SIGTERM.
"""

import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from cyclopts import App
from pydantic import ValidationError

from spurious import __version__
from spurious.errors import InputError, SpuriousError, Terminated, disk_says, told_to_stop
from spurious.terminal import say

app = App(
    name="spurious",
    help="Control arms for every RLVR claim.",
    version=__version__,
    suppress_keyboard_interrupt=False,  # we have something to say about it
)
for _name, _function, _help in (
    ("demo", "demo:demo", "Show what a coin as the reward does to two tiny models: a small study and its page."),
    ("organism", "organism:organism", "Tiny models whose pretraining is known."),
    ("train", "train:train", "Train a model with GRPO under one reward."),
    ("study", "study:study", "Arms x models x seeds with one declared outcome: plan, run, look."),
    ("audit", "audit:audit", "Run a reward beside its placebos on models of opposed priors, and judge it."),
    ("eval", "evaluate:evaluate", "Score a model, or the model behind a server, on benchmarks."),
    (
        "probe",
        "probe:probe",
        "What a model does before any training: prompts, prefix, perturb, renarrate, contamination.",
    ),
    ("label", "label:label", "Let a model vote on the answers of a task."),
    ("analyze", "analyze:analyze", "Tabulate what the rollouts of any trainer do, step by step."),
    ("export", "export:export", "Write a run or a study as the files that verl or OpenRLHF start from."),
    ("verdict", "verdict:verdict", "Judge a treatment against its placebo from the evaluation rows of any trainer."),
    ("bandit", "bandit:bandit", "Train two arms on a coin thousands of times: what clipping does, and exactly."),
    ("report", "report:report", "Write a page to look at about a study or a run, or its figures for a paper."),
    ("mirror", "mirror:mirror", "Show runs in TensorBoard, Weights & Biases (offline) or trackio."),
    ("push", "push:push", "Upload a run's model and its card to the Hugging Face hub."),
    ("check-data", "check_data:check_data", "Report what is wrong with a problem set, row by row."),
):
    app.command(f"spurious.cli.{_function}", name=_name, help=_help)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the `spurious` command; `arguments` default to those of the process."""
    # Before the first matrix product: rows of a batch must not depend on their neighbors.
    os.environ.setdefault("MKL_CBWR", "AVX2")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # progress is ours to show, on a terminal only
    with warnings.catch_warnings():
        warnings.filterwarnings("default", category=UserWarning)
        warnings.showwarning = _show_warning
        with _sigterm_is_ctrl_c():
            status = _status(arguments)
        sys.exit(status)


def _status(arguments: Sequence[str] | None) -> int:
    try:
        app(arguments, result_action="return_value")
    except (InputError, ValidationError) as error:
        _say(describe(error))
        return 2
    except SpuriousError as error:
        _say(str(error))
        return 1
    except BaseException as error:
        return _unforeseen(error)
    return 0


def _unforeseen(error: BaseException) -> int:
    """The exit status of what no command has raised on purpose, and what there is to say about it."""
    if (stop := told_to_stop(error)) is not None:
        _say("interrupted; the same command goes on where this one stopped")
        return 143 if isinstance(stop, Terminated) else 130
    if words := disk_says(error):
        _say(f"{words} ({error}); what was finished is kept: make room, and the same command goes on from there")
        return 1
    if not isinstance(error, Exception):
        raise error
    say(traceback.format_exc(), file=sys.stderr, end="")
    return 1


@contextmanager
def _sigterm_is_ctrl_c() -> Iterator[None]:
    """Let a run that is told to end, as schedulers do, write down that it was; only the main thread may say so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def describe(error: InputError | ValidationError) -> str:
    """One message that names the field at fault."""
    if isinstance(error, InputError):
        return str(error)
    parts = []
    for problem in error.errors():
        field = ".".join(str(part) for part in problem["loc"])
        parts.append(f"{error.title}.{field}: {problem['msg']} (given: {problem['input']!r})")
    return "; ".join(parts)


def _say(message: str) -> None:
    say(f"spurious: {message}", file=sys.stderr)


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    _say(f"warning: {message}")
