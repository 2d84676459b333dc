"""What every tab stands on: the page, its workspace and job panel, and how things are shown."""
