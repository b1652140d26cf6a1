"""The command `wynd`: `wynd serve module:app` and `wynd new NAME`."""
