"""One module per tab: view functions, then build(tab, shared)."""
