"""The command line of the chat: `main` checks what is installed, `program` names the commands."""
