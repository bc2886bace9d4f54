"""Handlers of the flows project."""
