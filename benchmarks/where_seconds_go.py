"""Where the seconds of a rollout batch go: the phases of the loop by kind of operation, beside their floor.

    python benchmarks/where_seconds_go.py [MODEL] [--threads 1] [--repeats 3] [--write]

The settings are those of `grpo_vs_trl.py`. Seconds are medians of batches without a profiler; what torch's profiler
then sees of one more batch divides them. Its own cost lies on many small operations and on Python, whose share is
therefore an upper bound.
"""

import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any
from unittest import mock

from floor import products
from grpo_vs_trl import LONGEST, ROWS, SHAPE, TOKENS, late, policy_of, spec_of
from loop import Loop
from record import Row, Table, command_line, publish
from torch.profiler import ProfilerActivity, profile, record_function

from spurious.grpo.arm import Inputs, prepare
from spurious.grpo.diagnostics import Diagnostics
from spurious.organisms import build
from spurious.policy import prepare_process
from spurious.stopwatch import Stopwatch

KINDS = {
    "matrix products": ("addmm", "::mm", "bmm"),
    "attention": ("attention",),
    "optimizer": ("Optimizer.step",),
    "diagnostics": ("diagnostics",),
    "softmax and draw": ("softmax", "cumsum", "searchsorted"),
    "moved and copied": ("cat", "copy", "index", "gather", "clone", "embedding", "fill", "zero", "select", "pad"),
    "element-wise": (),
}
"""Kinds of operations and parts of the names that tell them; what no other kind claims is element-wise."""
RANGES = ("optimizer", "diagnostics")
"""Kinds that are whole ranges: everything inside belongs to them."""
PYTHON = "Python and the rest"
COLORS = ("#1b4965", "#3d7ea6", "#bc6c25", "#dda15e", "#8f2d56", "#6a994e", "#a7c957", "#c9c9c9")


def kind_of(event: Any) -> str:
    """The kind of an operation; what happens inside a named range is of that range."""
    around = event
    while around is not None:
        for kind in RANGES:
            if KINDS[kind][0] in around.name:
                return kind
        around = around.cpu_parent
    return next((kind for kind, parts in KINDS.items() if any(part in event.name for part in parts)), "element-wise")


def named_range(method: Callable[..., Any]) -> Callable[..., Any]:
    """A method whose operations the profiler sees as diagnostics."""

    def called(*arguments: Any) -> Any:
        with record_function("diagnostics"):
            return method(*arguments)

    return called


def profiled(work: Callable[[], Any]) -> dict[str, float]:
    """Shares of the seconds by kind."""
    watch = Stopwatch()
    with (
        mock.patch.object(Diagnostics, "add", named_range(Diagnostics.add)),
        profile(activities=[ProfilerActivity.CPU]) as seen,
        watch("work"),
    ):
        work()
    wall = watch.lap()["seconds/work"]
    shares: Counter[str] = Counter()
    for event in seen.events():
        shares[kind_of(event)] += event.self_cpu_time_total / 1e6 / wall
    return {**{kind: shares[kind] for kind in KINDS}, PYTHON: max(0.0, 1 - sum(shares.values()))}


def measured(setting: str, model: Path, repeats: int, folder: Path) -> list[Row]:
    """One line a phase: seconds, floor, and seconds of each kind."""
    spec = spec_of(setting, late(model, folder) if setting == "late" else model)
    loop = Loop(prepare(spec, Inputs(None), {}), policy_of(setting, spec), folder)
    laps, watch = [], Stopwatch()
    for step in range(repeats + 1):
        for name, work in loop.phases(step).items():
            with watch(name):
                work()
        laps.append(watch.lap())
    shares = {name: profiled(work) for name, work in loop.phases(repeats + 1).items()}
    each = products(loop.policy.model, ROWS, ROWS // SHAPE["updates_per_rollout"] * LONGEST)
    floors = {"sample": (loop.sampled + loop.read) * each.read, "learn": loop.trained * each.trained}
    rows = []
    for name, share in shares.items():
        seconds = median(lap[f"seconds/{name}"] for lap in laps[1:])
        kinds = {kind: seconds * part for kind, part in share.items()}
        rows.append({"setting": setting, "phase": name, "seconds": seconds, "floor": floors.get(name), **kinds})
    return rows


def picture(rows: Sequence[Row]) -> str:
    """An SVG: a bar for each phase of a hundredth of a second or more, cut into kinds, and a line at its floor."""
    shown = [row for row in rows if row["seconds"] >= 0.01]
    left, width, step = 120, 640, 26
    scale = width / max(row["seconds"] for row in shown)
    parts = []
    for i, row in enumerate(shown):
        top, x = 40 + i * step, float(left)
        label = f"{row['setting']}, {row['phase']}"
        parts.append(f'<text x="{left - 8}" y="{top + 14}" text-anchor="end">{label}</text>')
        for kind, color in zip((*KINDS, PYTHON), COLORS, strict=True):
            size = row[kind] * scale
            parts.append(
                f'<rect x="{x:.1f}" y="{top}" width="{size:.1f}" height="18" fill="{color}">'
                f"<title>{label}: {kind} {row[kind]:.3f} s</title></rect>"
            )
            x += size
        parts.append(f'<text x="{x + 6:.1f}" y="{top + 14}">{row["seconds"]:.2f} s</text>')
        if row["floor"] is not None:
            at = left + row["floor"] * scale
            parts.append(f'<path d="M{at:.1f} {top - 3}v24" stroke="#000" stroke-width="2" fill="none"/>')
    for i, (kind, color) in enumerate(zip((*KINDS, PYTHON), COLORS, strict=True)):
        x, y = left + (i % 4) * 165, 40 + len(shown) * step + 14 + (i // 4) * 20
        parts.append(f'<rect x="{x}" y="{y}" width="12" height="12" fill="{color}"/>')
        parts.append(f'<text x="{x + 17}" y="{y + 11}">{kind}</text>')
    height = 40 + len(shown) * step + 64
    title = "Seconds of a rollout batch by phase and kind of operation; black line: the floor of its matrix products"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + width + 70} {height}" '
            'font-family="sans-serif" font-size="12">',
            '<rect width="100%" height="100%" fill="#fff"/>',
            f'<text x="12" y="22" font-size="13">{title}</text>',
            *parts,
            "</svg>\n",
        ]
    )


def main() -> None:
    parser = command_line(__doc__, threads=1, repeats=3)
    parser.add_argument("model", type=Path, nargs="?", default=Path("runs/organisms/good-code"))
    arguments = parser.parse_args()
    prepare_process(arguments.threads)
    if not arguments.model.is_dir():
        build("good-code", arguments.model)
    with tempfile.TemporaryDirectory() as folder:
        rows = [
            row for setting in TOKENS for row in measured(setting, arguments.model, arguments.repeats, Path(folder))
        ]
    publish("where_seconds_go", [Table("Seconds of a rollout batch", rows)], arguments, picture=picture(rows))


if __name__ == "__main__":
    main()
