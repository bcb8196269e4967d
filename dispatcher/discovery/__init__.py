"""Discovery of accounts, regions and instances."""
