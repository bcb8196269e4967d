"""The configurations of accounts and organizations, and what the API keeps for them."""
