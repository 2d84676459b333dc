"""The command line: its arguments, and how results are shown."""
