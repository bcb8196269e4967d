"""The HTTP server: metrics, health, and the JSON API."""
