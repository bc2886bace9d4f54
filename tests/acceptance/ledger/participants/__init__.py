"""Handlers of the ledger project."""
