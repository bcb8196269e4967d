"""Version orderings: one module each, version -> sortable bytes."""
