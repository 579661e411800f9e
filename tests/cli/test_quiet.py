"""TensorFlow's start-up messages stay off stderr; nothing else does. A fake `tensorflow` stands for the real one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NOISE = """WARNING: All log messages before absl::InitializeLog() is called are written to STDERR
I0000 00:00:1795560868.652450    5043 port.cc:153] oneDNN custom operations are on.
E0000 00:00:1795560871.192302    5043 cuda_platform.cc:52] failed call to cuInit: INTERNAL: CUDA error
2026-11-24 22:54:10.123456: I tensorflow/core/platform/cpu_feature_guard.cc:210] This TensorFlow binary is optimized
To enable the following instructions: AVX2 FMA, in other operations, rebuild TensorFlow
"""
FAKE = f"""
import os, types
os.write(2, {NOISE!r}.encode())
os.write(2, b"UserWarning: of a module\\n")
config = types.SimpleNamespace(list_physical_devices=lambda: os.write(2, b"E0000 00:00:1.2 3 failed call to cuInit\\n"))
"""


@pytest.fixture
def run(tmp_path):
    def run(code, *, fake=FAKE, **environment):
        (tmp_path / "tensorflow.py").write_text(fake)
        code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from keras_ddpm.cli import quiet; {code}"
        kept = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
        return subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env=kept | environment, capture_output=True, text=True, timeout=60
        )

    return run


def test_log_lines_are_dropped_and_other_lines_are_not(run):
    done = run("quiet.silence_tensorflow(); print(1, file=sys.stderr); import tensorflow; print(2, file=sys.stderr)")
    assert done.returncode == 0 and done.stderr == "1\nUserWarning: of a module\n2\n"


def test_everything_is_written_if_the_import_fails(run):
    fails = FAKE + "raise ImportError('no AVX')\n"
    done = run("quiet.silence_tensorflow(); import tensorflow", fake=fails)
    assert NOISE in done.stderr and done.stderr.rstrip().endswith("ImportError: no AVX")


def test_a_user_can_see_the_messages(run):
    done = run("quiet.silence_tensorflow(); import tensorflow", TF_CPP_MIN_LOG_LEVEL="0")
    assert NOISE in done.stderr


def test_it_imports_nothing(run):
    done = run(
        "quiet.silence_tensorflow(); quiet.silence_tensorflow(); print({'tensorflow', 'keras'} & {*sys.modules})"
    )
    assert done.stdout == "set()\n" and done.stderr == ""


def test_the_real_one_starts_without_a_word():
    code = "from keras_ddpm.cli.quiet import silence_tensorflow; silence_tensorflow()\n"
    code += "import tensorflow as tf; print(tf.constant(1) + 1)"
    kept = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=kept, capture_output=True, text=True, timeout=120)
    assert done.stderr == "" and "2" in done.stdout
