"""Find what is wrong with a data set before training on it, without Keras."""
