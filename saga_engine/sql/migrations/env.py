"""The packaged Alembic environment. `saga_engine.sql.migrate` hands it the connection."""

from saga_engine.sql.migrate import run_environment

run_environment()
