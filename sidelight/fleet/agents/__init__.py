"""The agent-based method: associations that collect inventories, and their evaluation."""
