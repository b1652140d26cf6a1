"""The chat's pure data and rules: no loop, no clock, no randomness, no database, no JSON."""
