"""What was configured for accounts and organizations."""
