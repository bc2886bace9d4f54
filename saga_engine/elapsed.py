"""How long something takes, as people read it: one form for every command. Programs get numbers, in JSON.

Knows nothing of the notation of definitions and options (`90s`), which is `definition.durations`'.
"""

from __future__ import annotations


def elapsed(microseconds: int) -> str:
    """`0.004 s`, `1.5 s`, `2 min 5 s`, `3 h 20 min`, `4 d 7 h`: seconds, from a minute on the two largest units.

    What is negative, since two clocks differ, is none: `0.000 s`.
    """
    tenths = round(microseconds / 100_000)
    if round(microseconds / 1_000) < 1_000 or tenths >= 600:
        return exactly_elapsed(microseconds)
    return f"{tenths / 10:g} s"


def exactly_elapsed(microseconds: int) -> str:
    """The same, with milliseconds up to a minute: for times that stand below each other, and lie close together."""
    milliseconds = max(round(microseconds / 1_000), 0)
    return f"{milliseconds / 1_000:.3f} s" if milliseconds < 59_950 else _from_a_minute(milliseconds)


def _from_a_minute(milliseconds: int) -> str:
    minutes, seconds = divmod(round(milliseconds / 1_000), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    units = ((days, "d"), (hours, "h"), (minutes, "min"), (seconds, "s"))
    largest = next(position for position, (number, _) in enumerate(units) if number)
    return " ".join(f"{number:,} {unit}" for number, unit in units[largest : largest + 2] if number)
