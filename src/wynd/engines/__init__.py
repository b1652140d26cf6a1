"""The engines: one small interface (`base`), two implementations (`native`, `asgi`)."""
