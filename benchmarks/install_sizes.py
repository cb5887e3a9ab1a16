"""What an installation takes: the core alone, and each extra by itself beside it, every one in a clean environment.

    pip install uv && python benchmarks/install_sizes.py [--write] [--only core NAME...]

Builds a wheel of this checkout, installs it under constraints.txt into one new virtual environment after the other, and
removes each again. uv does it, because its cache makes a dozen environments cheap; UV_FIND_LINKS and UV_INDEX_URL say
where packages are, as PIP_FIND_LINKS and PIP_INDEX_URL do for pip. Where the constraints forbid an extra, it is tried
without them and the reason is kept. In each: the size of site-packages without byte code, `uv pip check`, `spurious
--help` and `spurious train --help`. In the core a run is trained and evaluated, and every command that needs an extra
must end with status 2 and name it. `--write` puts what was measured into docs/install.json and into the table of
docs/install.md.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

from spurious.report.marked import filled, table

ROOT = Path(__file__).resolve().parents[1]
RECORD, PAGE = ROOT / "docs" / "install.json", ROOT / "docs" / "install.md"
CORE = "core"
TRIAL = (
    "train --model model --task chain --reward random --bench chain --eval-limit 4 --steps 1 --out trial "
    "--grpo.prompts-per-rollout 2 --grpo.group-size 2 --grpo.updates-per-rollout 1 --sampling.max-tokens 8"
)
LACKING = {
    "large": "train --model model --task chain --reward random --steps 1 --out lacking --policy.lora.r 2",
    "hub": "eval model --bench math500",
    "trl": "train --engine trl --model model --task chain --reward random --steps 1 --out lacking",
    "gym": "train --model model --task gym:basic_arithmetic --reward random --steps 1 --out lacking",
    "figures": "report trial --figures lacking",
    "ray": "study run study.yaml --on ray --store lacking",
    "slurm": "study run study.yaml --on slurm --store lacking",
    "track": "mirror trial --to tensorboard --out lacking",
    "trackio": "mirror trial --to trackio --out lacking",
}
"""Extra -> a command that needs it. `trial` is the run of TRIAL; no command may leave a file `lacking`."""
STUDY = """
name: tiny
question: Does it start?
expectation: It does not, without the extra.
base: {task: chain, steps: 1}
benches: [chain]
arms: {coin: {role: placebo, reward: random}}
models: {tiny: model}
seeds: 1
primary: accuracy@final on chain
"""


def extras() -> list[str]:
    """The names of all extras, as pyproject.toml has them."""
    return list(
        tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    )


def measure(wheel: Path, extra: str, home: Path) -> dict[str, Any]:
    """Install the core, or the core with one extra, into an environment of its own, try it, and say what it takes."""
    venv = home / "venv"
    uv("venv", "--quiet", "--python", sys.executable, str(venv)).check_returncode()
    wanted = str(wheel) if extra == CORE else f"{wheel}[{extra}]"
    refusal = install(venv, wanted, ROOT / "constraints.txt")
    if refusal:
        pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        (home / "torch.txt").write_text("\n".join(pin for pin in pins if pin.startswith("torch==")), encoding="utf-8")
        if again := install(venv, wanted, home / "torch.txt"):
            raise RuntimeError(f"{extra} cannot be installed at all: {again}")
    found = sizes(venv)
    uv("pip", "check", "--python", str(venv)).check_returncode()
    for command in ("--help", "train --help"):
        spurious(venv, command, home).check_returncode()
    if extra == CORE:
        found["commands"] = try_core(venv, home)
    if refusal:
        found["constraints"] = refusal
    return found


def install(venv: Path, wanted: str, constraints: Path) -> str:
    """Install; empty where it worked, else why the requirements contradict each other."""
    done = uv("pip", "install", "--quiet", "--python", str(venv), "--constraint", str(constraints), wanted)
    if done.returncode == 0:
        return ""
    told = " ".join(done.stderr.split())
    conflict = re.search(r"No solution found.*?Because (.*?), we can conclude", told)
    if conflict is None:
        raise RuntimeError(f"{wanted}:\n{done.stderr[-2000:]}")
    return conflict[1]


def uv(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run uv."""
    return subprocess.run(["uv", *arguments], capture_output=True, text=True, check=False)


def sizes(venv: Path) -> dict[str, Any]:
    """MB of site-packages, of torch in it (its CUDA libraries too), and the number of packages beside ours."""
    (site,) = (venv / "lib").glob("python*/site-packages")
    whole = sum(path.lstat().st_size for path in site.rglob("*") if not path.is_dir() and path.suffix != ".pyc")
    found = list(distributions(path=[str(site)]))
    torch = sum(size_of(one) for one in found if re.match(r"torch$|triton$|nvidia-|cuda-", one.name))
    return {"packages": len(found) - 1, "mb": round(whole / 1e6), "torch_mb": round(torch / 1e6)}


def size_of(package: Distribution) -> int:
    """Bytes of the files that a package has installed."""
    return sum(path.lstat().st_size for file in package.files or () if (path := Path(str(file.locate()))).is_file())


def spurious(venv: Path, command: str, home: Path) -> "subprocess.CompletedProcess[str]":
    """Run the command line of the environment, without this checkout on its path."""
    outside = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    program = [str(venv / "bin" / "spurious"), *command.split()]
    return subprocess.run(program, cwd=home, env=outside, capture_output=True, text=True, check=False)


def try_core(venv: Path, home: Path) -> dict[str, str]:
    """Train one step with nothing but the core; extra -> what is said where a command needs it."""
    make = "from pathlib import Path; from spurious.organisms import untrained; untrained(Path('model'))"
    outside = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run([venv / "bin" / "python", "-c", make], cwd=home, env=outside, check=True)
    (home / "study.yaml").write_text(STUDY, encoding="utf-8")
    spurious(venv, TRIAL, home).check_returncode()
    said = {}
    for extra, command in LACKING.items():
        done = spurious(venv, command, home)
        message = done.stderr.strip()
        if done.returncode != 2 or f"spurious[{extra}]" not in message or "\n" in message:
            raise RuntimeError(f"spurious {command}: status {done.returncode}\n{message}")
        if (home / "lacking").exists():
            raise RuntimeError(f"spurious {command}: left files behind")
        said[extra] = message
    return said


def rows(record: dict[str, Any]) -> str:
    """The table of docs/install.md, and under it what the constraints forbid."""
    core = record["sizes"][CORE]
    lines, refused = [], []
    for name, found in record["sizes"].items():
        title = "`pip install .`" if name == CORE else f"`{name}`" + (" (1)" if "constraints" in found else "")
        beside = "" if name == CORE else f"{found['mb'] - core['mb']:+d}".replace("-", "\N{MINUS SIGN}")
        lines.append([title, *(str(found[key]) for key in ("packages", "mb", "torch_mb")), beside])
        if "constraints" in found:
            refused.append(
                f"(1) `{name}` does not install under `constraints.txt`: {found['constraints']}. It does without them."
            )
    made = table(("what", "packages", "MB", "of it torch", "beside the core, MB"), lines)
    return "\n\n".join([made, f"Python {record['python']}, torch {record['torch']}, Linux.", *refused])


def page(record: dict[str, Any]) -> str:
    """The text of docs/install.md with the table of a record."""
    return filled(PAGE, "measured", lambda _: rows(record))


def build(folder: Path) -> Path:
    """The wheel of this checkout."""
    uv("build", "--quiet", "--wheel", "--out-dir", str(folder), str(ROOT)).check_returncode()
    (wheel,) = folder.glob("spurious-*.whl")
    return wheel


def torch_version(home: Path) -> str:
    """Of the torch that was installed last."""
    (site,) = (home / "venv" / "lib").glob("python*/site-packages")
    return next(one.version for one in distributions(path=[str(site)]) if one.name == "torch")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="into docs/install.json and docs/install.md")
    parser.add_argument("--only", nargs="+", choices=[CORE, *extras()], default=[CORE, *extras()])
    given = parser.parse_args()
    record: dict[str, Any] = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {"sizes": {}}
    with tempfile.TemporaryDirectory() as folder:
        wheel = build(Path(folder))
        for name in given.only:
            with tempfile.TemporaryDirectory() as home:
                found = measure(wheel, name, Path(home))
                print(name, json.dumps(found), flush=True)
                sizes = record["sizes"] | {name: found}
                record |= {"python": sys.version.split()[0], "torch": torch_version(Path(home))}
            record["sizes"] = {one: sizes[one] for one in [CORE, *extras()] if one in sizes}
            if given.write:
                RECORD.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    if given.write:
        PAGE.write_text(page(record), encoding="utf-8")


if __name__ == "__main__":
    main()
