"""`sidelight network`: which ports of which instances the world can reach, and why."""
