"""The command line `saga`: parse, call, print.

Owns words, formats and exit codes. Decides nothing: that is `bootstrap`'s client and what stands below it.
"""

from saga_engine.cli.app import main

__all__ = ["main"]
