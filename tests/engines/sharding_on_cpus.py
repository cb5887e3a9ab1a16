"""`spurious`, with accelerate told that its CPU processes are GPUs, as it cuts no weights on CPUs."""

import sys

from accelerate import PartialState
from accelerate.utils import DistributedType

from spurious.cli import main

_join = PartialState.__init__


def _joined(self, *args, **kwargs):
    _join(self, *args, **kwargs)
    if self.distributed_type is DistributedType.MULTI_CPU:
        self.distributed_type = DistributedType.MULTI_GPU


PartialState.__init__ = _joined
main(sys.argv[1:])
