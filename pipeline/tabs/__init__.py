"""A folder a tab, `tab.py` first: view functions, then build(tab, shared)."""
