"""The Deploy tab."""
