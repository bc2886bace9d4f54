"""The participant's SDK: what a file of handlers imports."""

from saga_engine.participant.context import Context, Rejected
from saga_engine.participant.registry import Participant

__all__ = ["Context", "Participant", "Rejected"]
