"""The backbones of keras.applications."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import keras

from ..typing import Tensor
from .backbone import Backbone

STORAGE = "https://storage.googleapis.com/tensorflow/keras-applications"


class ApplicationsBackbone(Backbone):
    """A family of networks of keras.applications; overrides `applications`, `url` and `taps`."""

    # {name: (constructor, MD5 or SHA-256 of the weights, None if Keras publishes none)}
    applications: Mapping[str, tuple] = MappingProxyType({})
    arguments: Mapping[str, Any] = MappingProxyType({})  # arguments of the constructors
    url = ""  # of the weights without the top; {0} is the backbone's name

    @classmethod
    def allowed(cls) -> list[str]:
        return list(cls.applications)

    def network(self, inputs: Tensor) -> keras.Model:
        build, _ = self.applications[self.backbone]
        return build(include_top=False, weights=None, input_tensor=inputs, **self.arguments)

    def imagenet(self) -> tuple | None:
        _, digest = self.applications[self.backbone]
        url = self.url.format(self.backbone)
        return url.rpartition("/")[-1], url, digest
