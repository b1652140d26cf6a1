"""Contracts of what lies outside the rules: store, broker, files, clock; guarantees in words."""
