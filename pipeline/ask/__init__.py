"""A run is asked: about one picture or many, what is alike, and where it looked."""
