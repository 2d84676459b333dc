"""A heap of pictures becomes a labelled set: sheets of alike pictures, and the model's word for the rest."""
