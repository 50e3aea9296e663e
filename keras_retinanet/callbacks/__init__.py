"""Keras callbacks: evaluation after each epoch, snapshots."""

from .common import RedirectModel

__all__ = ["RedirectModel"]
