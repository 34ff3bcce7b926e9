"""What must be true of the data; the only package that imports Great Expectations."""
