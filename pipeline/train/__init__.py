"""A run is made: from the configuration to the weights and what they answer."""
