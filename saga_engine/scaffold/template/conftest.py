"""Gives the tests `saga_system` and `saga_system_with_handlers`: this project in memory and in virtual time."""

pytest_plugins = ["saga_engine.testing.pytest_plugin"]
