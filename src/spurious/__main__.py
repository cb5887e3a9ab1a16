"""`python -m spurious` is the `spurious` command."""

from spurious.cli import main

main()
