"""The comparison of two runs, in the Clean tab."""
