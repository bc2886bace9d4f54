"""Compensating handlers: how this project's services undo what they did, mirroring `participants`."""
