"""The project's Alembic environment. `saga db upgrade` runs it and hands it the connection."""

from saga_engine.sql.migrate import run_environment

run_environment()
