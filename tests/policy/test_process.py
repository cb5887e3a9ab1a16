import os
import platform
import subprocess
import sys

import pytest

SCRIPT = """
import json
{before}
from spurious.policy.process import prepare_process
import sys
loaded = "torch" in sys.modules
state = prepare_process(threads=2)
import torch
state["loaded"] = loaded
state["now"] = [torch.are_deterministic_algorithms_enabled(), torch.get_num_threads()]
print(json.dumps(state))
"""


def prepared(before: str, **environment: str) -> dict[str, object]:
    import json

    clean = {name: value for name, value in os.environ.items() if name not in ("MKL_CBWR", "OMP_NUM_THREADS")}
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(before=before)],
        capture_output=True,
        text=True,
        check=True,
        env=clean | environment,
    )
    return dict(json.loads(result.stdout))


def test_a_fresh_process_gets_reproducible_arithmetic() -> None:
    state = prepared("")
    assert state["loaded"] is False
    assert state["mkl_cbwr"] == "AVX2"
    assert state["mkl_cbwr_in_time"] is True
    assert state["rows_independent"] is True
    assert state["deterministic_algorithms"] is True
    assert state["now"] == [True, 2]


def test_coming_late_is_reported() -> None:
    state = prepared("import torch; torch.ones(64, 64) @ torch.ones(64, 64)")
    assert state["mkl_cbwr_in_time"] is False


def test_the_users_own_choice_is_kept_and_reported() -> None:
    assert prepared("", MKL_CBWR="COMPATIBLE")["mkl_cbwr"] == "COMPATIBLE"


FAULTS = """
import resource, torch
from spurious.policy.process import prepare_process
prepare_process(threads=1)
def work():
    kept = [torch.ones(1 << 19) for _ in range(8)]
    return sum(float(one[0]) for one in kept)
work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux" or platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_freed_memory_is_kept_unless_the_user_decides_otherwise() -> None:
    """Twenty rounds write 160 tensors of 512 pages each: 81,920 pages, all of them new where memory is given back."""

    def faults(**environment: str) -> int:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
        command = [sys.executable, "-c", FAULTS]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=clean | environment)
        return int(done.stdout)

    assert faults() < 1000
    assert faults(MALLOC_MMAP_THRESHOLD_="65536") > 50_000
