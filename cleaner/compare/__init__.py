"""Did it help? Two runs on the same images, and the story of all of them."""
