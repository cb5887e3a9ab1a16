"""The run store: the only room that knows file names. Results are written through `Run` and read back with `load`."""

from spurious.store.fingerprint import fingerprint, model_digest
from spurious.store.load import Runs, load
from spurious.store.run import Identity, Run
from spurious.store.written import final_checkpoint, read_manifest

__all__ = ["Identity", "Run", "Runs", "final_checkpoint", "fingerprint", "load", "model_digest", "read_manifest"]
