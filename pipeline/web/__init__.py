"""Fetching safely: which addresses may be asked, how, how often, and what an answer says."""
