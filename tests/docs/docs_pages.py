"""The user pages as programs: the files they show, the commands they give, and what these print.

    <!-- run -->               before a fence: it is run here, and the page shows what it printed
    <!-- from src/FILE.py -->  before a fence: its lines stand so in that file
    ```yaml title="NAME"       a file that commands of the pages use

`python tests/docs/docs_pages.py` writes the output into the pages anew; a test compares it. Console blocks without a
mark cost too much to be run and are checked: the command, its options, and the files, rewards and profiles it names.
"""

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

from spurious.cli import app, main
from spurious.cli.words import named
from spurious.signals import build_reward, check_label
from spurious.specs import LabelSpec, RewardSpec
from spurious.study import load_spec

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = ("index", "loop", "rewards", "tasks", "design", "reading", "ci", "gpus")
REWRITE = "run: python tests/docs/docs_pages.py"

_FENCE = re.compile(
    r"(?:<!-- (?P<mark>[^\n]+) -->\n)?^```(?P<language>\w+)(?: title=\"(?P<title>[^\"]+)\")?\n(?P<body>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_RUN = re.compile(
    r"<!-- run -->\n```(?P<language>console|python)\n(?P<body>.*?)```\n(?P<shown>\n```text\n.*?```\n)?", re.DOTALL
)
_ANY_FENCE = re.compile(r"^```(console)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ASSIGNMENT = re.compile(r"[A-Z_]+=\S*")


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    mark: str
    language: str
    title: str
    body: str


def text_of(page):
    """A page's Markdown."""
    return (DOCS / f"{page}.md").read_text(encoding="utf-8")


def blocks(page):
    """The fenced blocks of a page, in order."""
    return [
        Block(found["mark"] or "", found["language"], found["title"] or "", found["body"])
        for found in _FENCE.finditer(text_of(page))
    ]


def commands(body):
    """The commands of a console block as written, continuation lines included."""
    found = []
    for line in body.splitlines():
        if line.startswith("$ "):
            found.append(line)
        elif found and found[-1].endswith("\\"):
            found[-1] += "\n" + line
    return found


def words(command):
    """A command's words, without prompt, comment and settings of the environment; and the file its output goes to."""
    parts = shlex.split(command.removeprefix("$ ").replace("\\\n", " "), comments=True)
    while _ASSIGNMENT.fullmatch(parts[0]):
        parts = parts[1:]
    if ">" in parts:
        at = parts.index(">")
        return parts[:at], parts[at + 1]
    return parts, None


@contextlib.contextmanager
def sandbox(folder, organism):
    """A working directory with every file that the pages show; all organisms are the one that has learned nothing."""
    for page in PAGES:
        for block in blocks(page):
            if block.title:
                (folder / block.title).write_text(block.body, encoding="utf-8")
    (folder / "organisms").mkdir()
    for name in ("good-code", "bad-code", "no-code"):
        (folder / "organisms" / name).symlink_to(organism)
    (folder / "studies").symlink_to(ROOT / "studies")
    with contextlib.chdir(folder):
        yield folder


def rendered(page):
    """The page's Markdown with everything that is run in it run, in the working directory."""

    def replaced(found):
        if found["language"] == "console":
            lines = [line for command in commands(found["body"]) for line in (command, *_printed(command))]
            return "<!-- run -->\n```console\n" + "\n".join(lines) + "\n```\n" + (found["shown"] or "")
        printed = _executed(found["body"])
        shown = "\n```text\n" + printed.rstrip() + "\n```\n" if found["shown"] else ""
        return f"<!-- run -->\n```python\n{found['body']}```\n{shown}"

    return _RUN.sub(replaced, text_of(page))


def _executed(code):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(compile(code, "page", "exec"), {"__name__": "__main__"})
    return out.getvalue()


def _printed(command):
    parts, target = words(command)
    out, err, status = _spurious(parts[1:]) if parts[0] == "spurious" else _process(parts)
    if status not in ((0, 2) if parts[0] == "spurious" else (0,)):
        raise RuntimeError(f"{command} ended with status {status}:\n{out}{err}")
    if target is not None:
        Path(target).write_text(out, encoding="utf-8")
    if target is not None or parts[0] == "pytest":  # which says how long it took
        out = ""
    return [line.rstrip() for line in (out + err).rstrip().splitlines()]


def _spurious(arguments):
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        try:
            main(arguments)
        except SystemExit as end:
            status = end.code
    return out.getvalue(), err.getvalue(), status


def _process(parts):
    programs = {"python": [sys.executable], "pytest": [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]}
    done = subprocess.run([*programs[parts[0]], *parts[1:]], capture_output=True, text=True, check=False, timeout=120)
    return done.stdout, done.stderr, done.returncode


def check(command):
    """Raise unless what a command names is there: program, options, files, rewards, arms, profiles, extras."""
    parts, _ = words(command)
    if parts[0] in ("torchrun", "accelerate"):
        parts = parts[parts.index("-m") + 1 :]
    program, *arguments = parts
    if program == "spurious":
        _check_spurious(arguments)
    elif program == "make":
        assert f"\n{arguments[0]}:" in (ROOT / "Makefile").read_text(encoding="utf-8")
    elif program == "pip":
        _check_extras(arguments)
    elif program in ("python", "pytest"):
        assert any(Path(argument).is_file() for argument in arguments)
    else:
        raise AssertionError(f"nothing is known of the program {program!r}")


def _check_extras(arguments):
    install, requirement = arguments
    name, _, extras = requirement.rstrip("]").partition("[")
    known = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert (install, name) == ("install", "spurious")
    assert {extra for extra in extras.split(",") if extra} <= set(known)


def parsed(arguments):
    """The arguments of a `spurious` command by parameter; raises where the command line would refuse them."""
    _, bound, _ = app.parse_args(arguments, exit_on_error=False, print_error=False)
    return bound.arguments


def told_elsewhere():
    """The `spurious` commands of all other pages and the README, each as a list of arguments; not those with gaps."""
    others = [path for path in sorted(DOCS.glob("*.md")) if path.stem not in PAGES]
    for path in (*others, ROOT / "README.md"):
        for language, body in _ANY_FENCE.findall(path.read_text(encoding="utf-8")):
            lines = commands(body if language else re.sub("^spurious ", "$ spurious ", body, flags=re.MULTILINE))
            for command in (part for line in lines for part in line.split("&&")):
                parts, _ = words(command.strip())
                if parts[0] == "spurious" and "..." not in parts:
                    yield parts[1:]


def _check_spurious(arguments):
    given = parsed(arguments)
    if "reward" in given:
        build_reward(named(RewardSpec, given["reward"], given.get("reward_args")))
    if "label" in given:
        check_label(named(LabelSpec, given["label"], given.get("label_args")))
    path = given.get("path")
    if isinstance(path, Path) and path.suffix == ".yaml":
        spec = load_spec(path, given.get("profile"))
        assert set(given.get("only", ())) <= set(spec.arms)


def rewrite():
    """Write the output of everything that is run into the pages."""
    from spurious.organisms import untrained

    os.environ.setdefault("MKL_CBWR", "AVX2")
    with tempfile.TemporaryDirectory() as root:
        organism = untrained(Path(root) / "untrained")
        for page in PAGES:
            (folder := Path(root) / page).mkdir()
            with sandbox(folder, organism):
                new = rendered(page)
            (DOCS / f"{page}.md").write_text(new, encoding="utf-8")


if __name__ == "__main__":
    rewrite()
