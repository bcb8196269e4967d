"""The stages of one scan, from its snapshots to their deletion."""
