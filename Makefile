# `make help` lists the targets. Each environment is made once and again when what it rests on
# changes; its stamp file says so. PYTHON=python3.12 chooses the interpreter.

PYTHON ?= python3
VENV = .venv
TORCH_VENV = .venv-torch
WHEEL_VENV = build/venv-wheel
PARALLEL = --numprocesses 2 --dist worksteal  # each takes up to 2 GB
UNIT = tests/assigners tests/doctor tests/evaluation tests/preprocessing tests/utils \
  tests/training tests/test_boxes.py tests/test_coders.py tests/test_detections.py \
  tests/test_synthetic.py tests/weights/test_pickles.py
COMMANDS = retinanet-train retinanet-evaluate retinanet-convert-model retinanet-detect retinanet-serve \
  retinanet-doctor retinanet-debug retinanet-convert-dataset retinanet-import-weights

# modules that need an extra
OPTIONAL = "keras_retinanet.serving", "keras_retinanet.engines."

# a locked version of everything, and of setuptools first, for it also builds the package
PIP_INSTALL = -m pip install --quiet --constraint requirements.txt
LOCKED = requirements.txt pyproject.toml
export PIP_DISABLE_PIP_VERSION_CHECK = 1
export PIP_NO_INPUT = 1

define CHECK_PYTHON
@command -v $(PYTHON) > /dev/null || { \
  echo "Expected Python 3.11, 3.12 or 3.13. Received: no $(PYTHON)." >&2; exit 1; }
@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { \
  echo "Expected Python 3.11, 3.12 or 3.13, which TensorFlow 2.21 has wheels for. Received:" \
    "$$($(PYTHON) --version 2>&1). Name another one, as in make demo PYTHON=python3.12." >&2; \
  exit 1; }
@$(PYTHON) -c 'import venv, ensurepip' 2> /dev/null || { \
  echo "$(PYTHON) cannot make virtual environments: install its module venv" \
    "(on Debian and Ubuntu: apt install python3-venv)." >&2; exit 1; }
endef

.DEFAULT_GOAL = help
.PHONY: help demo test test-slow test-jax unit test-torch test-wheel lint wheel clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.installed  ## draw a data set, train on it, evaluate and detect; results in demo/
	$(VENV)/bin/python -m keras_retinanet.bin.demo

test: $(VENV)/.installed-test  ## the tests on TensorFlow, and lint
	KERAS_BACKEND=tensorflow $(VENV)/bin/python -m pytest $(PARALLEL) -m "not slow"
	$(MAKE) --no-print-directory lint

test-slow: $(VENV)/.installed-test  ## the slow tests that `make test` leaves out
	KERAS_BACKEND=tensorflow $(VENV)/bin/python -m pytest $(PARALLEL) -m slow

test-jax: $(VENV)/.installed-test  ## the core tests on JAX
	KERAS_BACKEND=jax $(VENV)/bin/python -m pytest $(PARALLEL) -m "core and not slow"

unit: $(VENV)/.installed-test  ## the tests that need no Keras, in under a minute
	$(VENV)/bin/python -m pytest --unit $(PARALLEL) $(UNIT)

test-torch: $(TORCH_VENV)/.installed  ## the core tests on PyTorch
	KERAS_BACKEND=torch $(TORCH_VENV)/bin/python -m pytest -m core

test-wheel: wheel  ## install the wheel in an empty environment and try the commands there
	$(VENV)/bin/python -m venv --clear $(WHEEL_VENV)
	$(WHEEL_VENV)/bin/python -m pip install --quiet --no-deps dist/*.whl
	set -e; for command in $(COMMANDS); do $(WHEEL_VENV)/bin/$$command --help > /dev/null; done
	@echo "The commands answer. Installing what the wheel asks for, to import every module ..."
	$(WHEEL_VENV)/bin/python $(PIP_INSTALL) dist/*.whl
	$(WHEEL_VENV)/bin/python -I -c 'import importlib, pkgutil, keras_retinanet as package; \
	  [importlib.import_module(module.name) \
	   for module in pkgutil.walk_packages(package.__path__, "keras_retinanet.") \
	   if not module.name.startswith(($(OPTIONAL)))]'

lint: $(VENV)/.installed-test  ## ruff: rules and format; mypy: types
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

wheel: $(VENV)/.installed-test  ## build the wheel and the source archive into dist/
	rm -rf dist
	$(VENV)/bin/python -m build --quiet --no-isolation --outdir dist .
	@ls dist

clean:  ## remove the environments and what was built
	rm -rf $(VENV) $(TORCH_VENV) build dist demo keras_retinanet.egg-info
	rm -rf .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.installed: $(LOCKED) keras_retinanet/__init__.py
	$(CHECK_PYTHON)
	@echo "Installing keras_retinanet and TensorFlow into $(VENV) (2.3 GB, some minutes) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/python $(PIP_INSTALL) setuptools
	@$(VENV)/bin/python $(PIP_INSTALL) --no-build-isolation --editable .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	@echo "Installing JAX and the test tools into $(VENV) ..."
	@$(VENV)/bin/python $(PIP_INSTALL) --no-build-isolation --editable '.[test,jax]'
	@touch $@

# Without the package itself, which asks for TensorFlow: pytest finds it in this folder. PyPI's
# torch for Linux brings CUDA; PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu does not.
$(TORCH_VENV)/.installed: $(LOCKED)
	$(CHECK_PYTHON)
	@echo "Installing PyTorch and what the core tests need into $(TORCH_VENV) ..."
	@$(PYTHON) -m venv $(TORCH_VENV)
	@$(TORCH_VENV)/bin/python $(PIP_INSTALL) keras h5py pillow opencv-python-headless \
	  faster-coco-eval pycocotools pyyaml tqdm pytest hypothesis safetensors torch torchvision timm
	@touch $@
