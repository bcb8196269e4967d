"""Listening ports in services' configuration files: pure parsers, and the files that they take."""
