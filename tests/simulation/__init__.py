"""Deterministic simulation: the real engine on virtual time, with seeded faults at every port."""
