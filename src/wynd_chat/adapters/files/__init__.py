"""Where the contents of files are kept: a folder, or memory."""
