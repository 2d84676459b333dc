"""The pictures leave as a data set."""
