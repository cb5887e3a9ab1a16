"""What a process must be told before its first matrix product, so that results repeat bit for bit.

Without `MKL_CBWR` the attention of two threads rounds differently for another number of rows (seen on AVX2 and AVX-512
machines); with `AVX2` rows come out the same in any batch and on one or two threads.
"""

import ctypes
import os
import sys
from typing import Any

_MALLOC_LIMITS = (
    (-3, 1 << 25, "MALLOC_MMAP_THRESHOLD_"),  # what is larger than 32 MiB, the most glibc allows, goes back at once
    (-1, (1 << 31) - 1, "MALLOC_TRIM_THRESHOLD_"),
    (-2, 1 << 26, "MALLOC_TOP_PAD_"),
)
"""Parameters of glibc's `mallopt`, their values, and the variables in which a user decides otherwise."""


def prepare_process(threads: int | None = None) -> dict[str, Any]:
    """Ask for reproducible arithmetic, and say what was got; to be called before anything is computed with torch.

    Args:
        threads: Threads of one operation; null leaves torch's own choice (`OMP_NUM_THREADS`).

    Returns:
        For the manifest: `mkl_cbwr` (the variable's value), `mkl_cbwr_in_time` (false where torch was already loaded
        without it, so that it may have come too late), `rows_independent` (measured: attention gave four or five rows
        the same bits as among 64), `deterministic_algorithms`, `threads`, `cpu_capability`, and on a GPU
        `cublas_workspace`.
    """
    in_time = "MKL_CBWR" in os.environ or "torch" not in sys.modules
    os.environ.setdefault("MKL_CBWR", "AVX2")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    keep_freed_memory()
    import torch

    if threads is not None:
        torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    # Deterministic mode fills all new memory with NaN, which nothing here ever reads: 2.5 % of a training step.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    state = {
        "mkl_cbwr": os.environ["MKL_CBWR"],
        "mkl_cbwr_in_time": in_time,
        "rows_independent": _rows_independent(),
        "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
        "threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
    }
    if torch.cuda.is_available():
        state["cublas_workspace"] = os.environ["CUBLAS_WORKSPACE_CONFIG"]
    return state


def keep_freed_memory() -> None:
    """Let the C library keep what tensors free for those that come next; not a bit of any result depends on it.

    By default it gives a megabyte back to the kernel as soon as it is free, which clears every page of it anew for the
    next tensor: a fifth of a training step of a tiny model.
    """
    if sys.platform != "linux" or any(name in os.environ for _, _, name in _MALLOC_LIMITS):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # another C library
        return
    for parameter, value, _ in _MALLOC_LIMITS:
        mallopt(parameter, value)


def _rows_independent() -> bool:
    """Whether a decoding step's attention, the operation that gives itself away, is the same in a smaller batch."""
    import torch
    from torch.nn.functional import scaled_dot_product_attention as attend

    generator = torch.Generator().manual_seed(0)
    query, keys, values = (torch.randn(64, 4, n, 24, generator=generator) for n in (1, 64, 64))
    mask = (torch.arange(64) >= 5).expand(64, 1, 1, 64)
    together = attend(query, keys, values, attn_mask=mask)
    return all(
        torch.equal(attend(query[:n].clone(), keys[:n].clone(), values[:n].clone(), attn_mask=mask[:n]), together[:n])
        for n in (4, 5)
    )
