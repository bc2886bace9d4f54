"""From a failing schedule to the few faults that it takes: leaves faults out and runs the seed again.

Owns the search (delta debugging: Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", 2002).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tests.simulation.run import Result

MOST_RUNS = 300


def shrink(failing: Result, run: Callable[[frozenset[str]], Result], most_runs: int = MOST_RUNS) -> Result:
    """The smallest failing run found within `most_runs`, that breaks one of the same invariants."""
    wanted = _numbers(failing)
    best = failing
    names = [hit.name for hit in failing.hits]
    runs, parts = 0, 2
    while len(names) >= 1 and runs < most_runs:
        smaller = None
        for part in _without_parts(names, parts):
            runs += 1
            result = run(frozenset(part))
            if wanted & _numbers(result):
                smaller = result
                break
            if runs >= most_runs:
                break
        if smaller is not None:
            best, names = smaller, [hit.name for hit in smaller.hits]
            parts = max(2, parts - 1)
        elif parts >= len(names):
            break
        else:
            parts = min(len(names), parts * 2)
    return best


def _numbers(result: Result) -> set[str]:
    return {violation.split()[0] for violation in result.violations}


def _without_parts(names: Sequence[str], parts: int) -> Sequence[Sequence[str]]:
    """The names without each of so many equal parts."""
    size = max(1, len(names) // parts)
    return [[*names[:begin], *names[begin + size :]] for begin in range(0, len(names), size)]
