"""What the backbones of keras.applications share."""

from types import MappingProxyType

from .backbone import Backbone

STORAGE = "https://storage.googleapis.com/tensorflow/keras-applications"


class ApplicationsBackbone(Backbone):
    """A family of networks of keras.applications; it overrides `applications`, `url` and `taps`."""

    # {name: (constructor, MD5 or SHA-256 of the weights, None where Keras publishes none)}
    applications = MappingProxyType({})
    arguments = MappingProxyType({})  # of the constructors
    url = None  # of the weights without the top, where {0} is the backbone's name

    @classmethod
    def allowed(cls):
        return list(cls.applications)

    def network(self, inputs):
        build, _ = self.applications[self.backbone]
        return build(include_top=False, weights=None, input_tensor=inputs, **self.arguments)

    def imagenet(self):
        _, digest = self.applications[self.backbone]
        url = self.url.format(self.backbone)
        return url.rpartition("/")[-1], url, digest
