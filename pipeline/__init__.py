"""From a search phrase to a deployed model, one module a step."""

__version__ = "0.1.0"
