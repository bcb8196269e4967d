"""`sidelight fleet …`."""
