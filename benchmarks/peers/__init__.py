"""Other saga engines on the common workload, each in its own process and its best known setting, beside ours.

Their programs run in a virtual environment of their own, without the engine: of this repository they import only what
needs the standard library alone.
"""
