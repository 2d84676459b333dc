"""What a run gets wrong, and what is known about one image."""
