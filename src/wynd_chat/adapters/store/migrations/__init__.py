"""Alembic migrations of the chat; run by `adapters.store.migrate`, which needs no `env.py`."""
