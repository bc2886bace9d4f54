"""The project's own benchmarks: sagas per second, latency, cost and memory, against the limit of the same machine.

No part of the wheel, and known to nothing in the engine. `python -m benchmarks --help` says what there is.
"""
