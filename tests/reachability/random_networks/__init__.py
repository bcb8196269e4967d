"""Random networks as describe answers, drawn by a `random.Random` or by Hypothesis."""
