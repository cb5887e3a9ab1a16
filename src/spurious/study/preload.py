"""Imported once by the fork server of a study: every run forked from it starts with torch and the models loaded.

Nothing is computed with torch here: no thread is running when the server forks.
"""

import os
from contextlib import suppress
from importlib import import_module

# Before torch: one thread a process, unless the user has decided otherwise; reproducible arithmetic.
for _name, _value in (("OMP_NUM_THREADS", "1"), ("MKL_CBWR", "AVX2"), ("TOKENIZERS_PARALLELISM", "false")):
    os.environ.setdefault(_name, _value)

for _module in ("spurious.grpo.trainer", "spurious.organisms.builder"):
    import_module(_module)

# A thousand patterns that transformers compiles before it loads its first model: a third of a run's start.
with suppress(ImportError, AttributeError):  # where another version of it has them elsewhere, each run compiles its own
    import_module("transformers.conversion_mapping").get_checkpoint_conversion_mapping("llama")
