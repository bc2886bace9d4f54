"""Histories of sagas and the invariants as pure functions over them: for simulation, chaos tests and `saga audit`."""
