"""What the checkers ask of a definition's graph: what lies behind a step, what is past the point of no return.

Owns these readings of a plan. Knows no state.
"""

from __future__ import annotations

from saga_engine.audit.course import Course, Track
from saga_engine.core.plan import Plan
from saga_engine.definition.model import Call, Kind

FINAL_KINDS = (Kind.PIVOT, Kind.RETRIABLE)


def call_of(plan: Plan, track: Track) -> Call | None:
    """What a track's step calls; None for a step without a command, or that the definition does not have."""
    node = plan.nodes.get(track.step)
    return None if node is None else node.call


def behind(plan: Plan, place: str) -> frozenset[str]:
    """All steps that depend on one, through others too; none on a step that the definition does not have."""
    return plan.behind(place) if place in plan.nodes else frozenset()


def no_return_from(plan: Plan, course: Course) -> int | None:
    """The version that was the point of no return. None: it was never passed.

    It is that of the first issue of a retriable step, or of a pivot that was not rejected.
    """
    versions = [
        track.issued[0].version
        for track in course.tracks.values()
        if track.issued and not track.rejected and (call := call_of(plan, track)) is not None
        if call.kind in FINAL_KINDS
    ]
    return min(versions, default=None)
