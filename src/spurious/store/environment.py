"""Where results were made: versions, commit and hardware, for manifests."""

import os
import platform
import shutil
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_PACKAGES = ("spurious", "torch", "transformers", "tokenizers", "safetensors", "math-verify", "numpy", "polars")


def environment() -> dict[str, Any]:
    """Versions of what computes, the commit this package was run from (if any), and the machine in words."""
    return {
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in _PACKAGES}},
        "commit": _commit(Path(__file__).resolve().parent),
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
    }


@cache
def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


@cache
def _commit(directory: Path) -> dict[str, Any] | None:
    """The commit of the checkout that tracks this very file, and whether it has uncommitted changes."""
    if (
        shutil.which("git") is None
        or _git(directory, "ls-files", "--error-unmatch", str(Path(__file__).resolve())) is None
    ):
        return None
    return {
        "id": (_git(directory, "rev-parse", "HEAD") or "").strip(),
        "dirty": bool(_git(directory, "status", "--porcelain")),
    }


def _git(directory: Path, *arguments: str) -> str | None:
    result = subprocess.run(["git", "-C", str(directory), *arguments], capture_output=True, text=True, check=False)
    return result.stdout if result.returncode == 0 else None


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()
