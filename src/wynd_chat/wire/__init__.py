"""The faces' formats: text lines and JSON frames to and from domain values. Sends nothing."""
