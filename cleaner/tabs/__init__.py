"""The cleaner's tabs: one module a tab, view functions first, then build(tab, shared)."""
