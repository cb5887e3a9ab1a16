"""Processes forked from a server that has heavy modules loaded already: a new one is there in milliseconds."""

import os
import threading
from multiprocessing import context, forkserver, spawn
from typing import Any, ClassVar

_patching = threading.Lock()


class Forks(context.ForkServerContext):
    """A fork server of our own, so that nobody else's processes inherit what it has loaded. It starts on first use.

    Its processes do not run the caller's main module again, as the standard library's would: that fails from standard
    input and repeats an unguarded script. What they call must live in an importable module.
    """

    def __init__(self, preload: str) -> None:
        """`preload` is the module that the server imports before it forks."""
        self._preload = preload
        self._renew()
        os.register_at_fork(after_in_child=self._renew)  # a forked child starts a server of its own

    def popen(self, process: Any) -> Any:
        """Start a process; the part of the standard library that would prepare its main module is put aside."""
        from multiprocessing.popen_forkserver import Popen

        with _patching:
            prepared, connected = spawn.get_preparation_data, forkserver.connect_to_new_process

            def without_main(name: str) -> dict[str, Any]:
                data: dict[str, Any] = prepared(name)
                return {field: value for field, value in data.items() if not field.startswith("init_main_from")}

            spawn.get_preparation_data = without_main
            forkserver.connect_to_new_process = self._server.connect_to_new_process
            try:
                return Popen(process)
            finally:
                spawn.get_preparation_data, forkserver.connect_to_new_process = prepared, connected

    def _renew(self) -> None:
        self._server = forkserver.ForkServer()
        self._server.set_forkserver_preload([self._preload])


class ForkedProcess(context.ForkServerProcess):
    """A process of `forks`, which a subclass at the top of a module names (processes are found by their class)."""

    forks: ClassVar[Forks]

    @staticmethod
    def _Popen(process_obj: Any) -> Any:
        return type(process_obj).forks.popen(process_obj)


def _fresh_lock() -> None:
    global _patching
    _patching = threading.Lock()


os.register_at_fork(after_in_child=_fresh_lock)
