"""The console: one web page."""
