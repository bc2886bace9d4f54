"""Writes the generated parts of the documentation. `python -m docs.generator` (`make docs-reference`) runs it."""
