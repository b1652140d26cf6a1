"""The chat's faces to the world, over the public API of wynd: sockets, commands, REST, pages."""
