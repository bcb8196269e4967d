"""A local AWS for demos and tests."""
