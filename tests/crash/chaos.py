"""`make chaos`: kill -9 at random instants of everything that takes a while, and see whether it comes to the same.

    CHAOS_MINUTES=10 python tests/crash/chaos.py [--seed N] [WORK...]
    python tests/crash/chaos.py --boundaries [WORK...]

With `--boundaries` every work is killed once before each kind of file appears under its name. Progress goes to
standard error; the last thing on standard output is one JSON document. Exit status 1: something was lost or wrong.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_CBWR", "AVX2")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from campaign import WORKS, Campaign, document

from spurious.study import preload  # noqa: F401  everything that runs need is loaded before the first fork


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("works", nargs="*", default=[], help=", ".join(WORKS))
    parser.add_argument("--boundaries", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    names = asked.works or list(WORKS)
    if unknown := sorted(set(names) - set(WORKS)):
        parser.error(f"{unknown[0]}: there are {', '.join(WORKS)}")
    minutes = float(os.environ.get("CHAOS_MINUTES", "60"))
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        campaigns = {name: Campaign(WORKS[name], Path(folder) / name, asked.seed) for name in names}
        started = time.monotonic()
        if asked.boundaries:
            for name, campaign in campaigns.items():
                for number in campaign.boundaries():
                    campaign.at_event(number)
                _say(name, campaign)
        else:
            for name in cycle(names):
                if time.monotonic() - started > 60 * minutes:
                    break
                campaigns[name].at_random()
                _say(name, campaigns[name])
    tallies = {name: campaign.tally for name, campaign in campaigns.items()}
    print(
        document(
            tallies,
            date=datetime.now(UTC).date().isoformat(),
            commit=_commit(),
            seed=asked.seed,
            minutes=round((time.monotonic() - started) / 60, 1),
        )
    )
    good = all(not one.rows_lost and not one.wrong_results and one.survived for one in tallies.values())
    return 0 if good and not any("Error" in said for one in tallies.values() for said in one.said) else 1


def _commit() -> str | None:
    """The commit of what is tried; None outside a repository."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(Path(__file__).parent), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()

    changed = "-dirty" if git("status", "--porcelain", ":/src") else ""
    return git("rev-parse", "HEAD") + changed or None


def _say(name: str, campaign: Campaign) -> None:
    tally = campaign.tally
    print(f"{name}: {tally.instants} instants, {tally.bytes_equal} equal, {tally.said[-1:]}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
