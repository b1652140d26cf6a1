"""Use cases of the chat, over ports and domain; they know no face, no socket and no database."""
