"""A project on disk: its folder, its store and journal, its runs, and what a visitor may do at most."""
