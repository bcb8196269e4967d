"""`sidelight access`: the API's access keys, and its audit log."""
