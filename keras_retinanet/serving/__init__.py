"""The server of `retinanet-serve`: detectors behind HTTP."""
