"""Labels cleaned with the help of a run: what to look at first, decisions, and taking them back."""
