"""What is wrong with a data set, before anyone trains on it. No Keras here."""
