"""From a search phrase to a deployed model, one module a step."""
