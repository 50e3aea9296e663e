"""retinanet-serve from a checkout, installed or not."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from keras_retinanet.bin.serve import main

if __name__ == "__main__":
    main()
