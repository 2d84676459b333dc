"""Pictures come in: from folders, archives, tables, ready-made sets and the web."""
