"""What is installed: extractors, their registry, the walk."""
