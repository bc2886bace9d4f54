"""The engine's schema as Alembic revisions, carried by the package: DDL modules, and the revisions that apply them.

The DDL is frozen: a change of `sql/schema.py` is a new revision here, never an edit of an old one.
"""
