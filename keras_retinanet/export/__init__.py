"""Files of other runtimes, and proof that they find what the model finds."""
