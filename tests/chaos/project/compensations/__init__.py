"""Handlers of the project under chaos."""
