"""A broker and workers that belong to one command and end with it."""
