"""Handlers of the benchmark project: as little work as there can be, so that the engine is what is measured."""
