"""The cleaner's tabs: a folder a tab, view functions first, then build(tab, shared)."""
