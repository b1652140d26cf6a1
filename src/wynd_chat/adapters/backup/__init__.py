"""Backups: one tar with a copy of the database, the files and a manifest; and the way back."""
