"""A stage in a process of its own, which outlives the page that started it."""
