"""Brokers: one file per technology."""
