"""JAX finds the compiled programs of an earlier start, unless the user wants none."""

import os

import keras
import pytest

from keras_retinanet.utils.compilation import cache_folder, keep_compiled

pytestmark = pytest.mark.core


@pytest.fixture
def jax(tmp_path, monkeypatch):
    """JAX without its own folder, and with the user's cache folder in `tmp_path`."""
    if keras.config.backend() != "jax":
        pytest.skip("the cache of JAX")
    import jax
    from jax.experimental.compilation_cache import compilation_cache

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    held = {
        "jax_compilation_cache_dir": None,
        "jax_enable_compilation_cache": True,
        "jax_persistent_cache_min_compile_time_secs": 0.0,
    }
    before = {name: getattr(jax.config, name) for name in held}
    for name, value in held.items():
        jax.config.update(name, value)
    yield jax
    for name, value in before.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()


def compile_function(jax):
    """Compile a function, without the programs that this process holds in memory."""
    jax.clear_caches()
    jax.jit(lambda x: x * 3 + 1).lower(2.0).compile()


def test_second_compilation_reads_the_first_one_from_the_folder(jax):
    found = []
    jax.monitoring.register_event_listener(lambda name, **_: found.append(name))
    compile_function(jax)  # before the folder is known
    keep_compiled()
    compile_function(jax)
    assert "/jax/compilation_cache/cache_hits" not in found
    assert any("lambda" in name for name in os.listdir(cache_folder()))
    compile_function(jax)
    assert "/jax/compilation_cache/cache_hits" in found


def test_users_folder_is_kept(jax, tmp_path):
    jax.config.update("jax_compilation_cache_dir", str(tmp_path / "chosen"))
    keep_compiled()
    assert jax.config.jax_compilation_cache_dir == str(tmp_path / "chosen")
    assert not os.path.exists(cache_folder())


def test_no_folder_without_a_cache_or_with_one_that_cannot_be_made(jax, tmp_path, monkeypatch):
    jax.config.update("jax_enable_compilation_cache", False)
    keep_compiled()
    assert not os.path.exists(cache_folder())
    jax.config.update("jax_enable_compilation_cache", True)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    keep_compiled()
    assert jax.config.jax_compilation_cache_dir is None
