"""A run leaves: as a model folder, a Space, a page or a server."""
