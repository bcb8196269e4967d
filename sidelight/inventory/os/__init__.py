"""Operating system package databases."""
