"""Control arms for RLVR claims: placebo rewards beside the real one, and an honest verdict."""

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spurious.store import load

__version__ = version("spurious")
__all__ = ["__version__", "load"]


def __getattr__(name: str) -> Any:
    if name == "load":  # polars takes a moment to import; a bare `import spurious` should not wait for it
        from spurious.store import load

        return load
    raise AttributeError(f"module 'spurious' has no attribute {name!r}")
