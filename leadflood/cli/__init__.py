"""The command line: one function a command, one file a subject. Data on stdout, talk on stderr."""

from leadflood.cli.root import main

__all__ = ["main"]
