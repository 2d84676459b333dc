"""Who comes in: serving the app, to one person or to the visitors of a public demo."""
