"""`spurious export`: a run or a study as the files that another trainer starts from."""

import sys
from pathlib import Path
from typing import Annotated, Any

import yaml
from cyclopts import Parameter

from spurious.errors import SpecError
from spurious.terminal import say


def export(
    path: Path,
    *,
    to: str,
    out: Path,
    profile: str | None = None,
    only: tuple[str, ...] = (),
    store: Path = Path("runs"),
    data: Path | None = None,
    gpus: int = 8,
    one_by_one: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Write settings, data, reward and a script for verl or OpenRLHF; a field that they cannot do is refused by name.

    Args:
        path: A study file, or one run: a YAML file with the fields of a RunSpec, or a run's manifest.json.
        to: verl (0.9.1) or openrlhf (0.11.2).
        out: A folder; every run has one in it, with train.sh to start it.
        profile: A variant that the study declares.
        only: Export only this arm; repeat for more.
        store: Where organisms and votes are that a study's runs need.
        data: A folder with local copies of the data sets, instead of the hub.
        gpus: How many GPUs the script asks for.
        one_by_one: A reward of your own pays every completion by itself, without a look at the others of its group.
    """
    from spurious.specs import RunSpec
    from spurious.study import load_spec
    from spurious.study.exported import export_run, export_study

    fields = _fields(path)
    if "arms" not in fields:
        spec = RunSpec.model_validate(fields.get("spec", fields))
        say(export_run(spec, out, to, data_dir=data, gpus=gpus, one_by_one=one_by_one))
        return
    study = load_spec(path, profile)
    if unknown := [name for name in only if name not in study.arms]:
        raise SpecError(f"--only {unknown[0]}: there is no such arm; there are {', '.join(study.arms)}")
    written = export_study(study, out, to, store=store, data_dir=data, only=only, gpus=gpus, one_by_one=one_by_one)
    for title, folder in written:
        say(folder)
        say(title, file=sys.stderr)


def _fields(path: Path) -> dict[str, Any]:
    try:
        fields = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: not readable as YAML: {error}") from error
    if not isinstance(fields, dict):
        raise SpecError(f"{path}: neither a study nor the fields of a run")
    return fields
