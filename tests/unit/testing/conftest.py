"""The fixtures of the test kit, as a project gets them by naming the plugin in its top conftest.py."""

from __future__ import annotations

from saga_engine.testing.pytest_plugin import saga_project as saga_project
from saga_engine.testing.pytest_plugin import saga_system as saga_system
from saga_engine.testing.pytest_plugin import saga_system_with_handlers as saga_system_with_handlers
