"""Patterns of NATS subjects: `*` stands for one word, `>` at the end for one or more. Pure; knows no server."""

from __future__ import annotations


def covers(pattern: str, subject: str) -> bool:
    """Whether a subject is one of a pattern's; for a pattern as `subject`: whether all of that one's are."""
    wide, narrow = pattern.split("."), subject.split(".")
    if wide[-1] == ">":
        wide.pop()
        if len(narrow) <= len(wide):
            return False
        narrow = narrow[: len(wide)]
    if len(wide) != len(narrow):
        return False
    return all(one == two or (one == "*" and two != ">") for one, two in zip(wide, narrow, strict=True))
