"""`sidelight inspector`."""
