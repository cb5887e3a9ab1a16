import os
import subprocess
import sys

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
