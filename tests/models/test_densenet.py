"""DenseNet: what keras-retinanet made of it."""

import keras

from keras_retinanet.models.densenet import DenseNetBackbone


def test_taps_are_the_ends_of_dense_blocks():
    made = DenseNetBackbone("densenet121")
    network = made.network(keras.Input((64, 96, 3)))
    # each layer adds 32 channels to those of the stem or the halved ones of the transition
    assert [x.shape[1:] for x in made.taps(network).values()] == [
        (16, 24, 64 + 6 * 32),
        (8, 12, 128 + 12 * 32),
        (4, 6, 256 + 24 * 32),
        (2, 3, 512 + 16 * 32),
    ]


def test_frozen_stages_are_blocks_and_the_transitions_between(shallow):
    made = shallow("densenet121")
    for count in range(1, 6):
        network = made.network(keras.Input((None, None, 3)))
        made.freeze_stages(network, count)
        for layer in network.layers:
            if layer.weights and layer.name != "bn":  # the end, which no tap sees
                own = int(layer.name.removeprefix("conv").removeprefix("pool")[0])
                stage = own + layer.name.startswith("pool")  # a transition leads to the next
                assert layer.trainable == (stage > count), layer.name
