"""A machine's tree as a PyFilesystem2 filesystem."""
