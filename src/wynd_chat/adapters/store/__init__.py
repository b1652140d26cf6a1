"""Stores: memory, and one set of SQL over SQLite and PostgreSQL with its schema and migrations."""
