"""`sidelight advisories …`."""
