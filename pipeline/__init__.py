"""From a search phrase to a deployed model, a room a step, in the order of the work."""

__version__ = "0.1.0"
