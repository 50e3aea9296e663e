"""Find the problems of a data set before training on it, without Keras."""
