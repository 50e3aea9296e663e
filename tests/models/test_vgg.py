"""VGG: what keras-retinanet made of it."""

import keras

from keras_retinanet.models.vgg import VGGBackbone


def test_taps_are_the_pools():
    made = VGGBackbone("vgg19")
    taps = made.taps(made.network(keras.Input((64, 96, 3))))
    assert [x.shape[1:] for x in taps.values()] == [
        (16 >> i, 24 >> i, channels) for i, channels in enumerate((128, 256, 512, 512))
    ]


def test_frozen_stages_are_blocks():
    made = VGGBackbone("vgg16")
    for count in range(1, 6):
        network = made.network(keras.Input((None, None, 3)))
        made.freeze_stages(network, count)
        for layer in network.layers:
            if layer.weights:
                assert layer.trainable == (int(layer.name[len("block")]) > count)
