"""Pictures, never trusted: decoding, formats, damage, quality, cached pixels, and processes to do it in."""
