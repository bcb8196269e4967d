"""`python -m dispatcher.cli`: the same as `sidelight`."""

from dispatcher.cli import main

main()
