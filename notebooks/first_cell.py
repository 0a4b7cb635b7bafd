# On Colab this installs the package, beside the jax that is there; elsewhere it only says what computes here.
import importlib.metadata
import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys

ADDRESS = ""  # where the package is published; as long as it is empty, a wheel beside this notebook is taken
WANTS_TPU = False  # whether this notebook is at its best on one
NEEDED = (0, 10)  # the oldest jax that serves
EXTRAS = ("chex", "scikit-learn", "matplotlib", "tqdm")

has_tpu = any(name in os.environ for name in ("COLAB_TPU_ADDR", "TPU_ACCELERATOR_TYPE", "TPU_NAME"))
has_tpu = has_tpu or any(map(os.path.exists, ("/dev/accel0", "/dev/vfio/0")))


def pip(*arguments):
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", *arguments], check=True)


def version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "0"


def install():
    """Whether everything is there now; a jax that has been replaced is there after a restart only."""
    source = f"jaxopt-notes @ git+{ADDRESS}"
    if not ADDRESS:
        wheels = sorted(pathlib.Path().glob("jaxopt_notes-*.whl"))
        if not wheels:
            raise FileNotFoundError(
                "There is no jaxopt_notes-*.whl beside this notebook. Make one with `python -m build` in the "
                "project's folder, upload it from dist/ (the folder on the left, then the arrow), and run "
                "this cell again."
            )
        source = str(wheels[-1])
    pip("--no-deps", source)
    jax_there = version("jax")
    old = tuple(int(part) for part in jax_there.split(".")[:2]) < NEEDED
    if old:  # the one that fits what computes here
        extra = "[tpu]" if has_tpu else "[cuda12]" if shutil.which("nvidia-smi") else ""
        pip("--upgrade", f"jax{extra}>={'.'.join(map(str, NEEDED))}")
        jax_there = version("jax")
    missing = [name for name in EXTRAS if version(name) == "0"]
    if missing:  # held, so that none of them brings another jax
        pip(*missing, f"jax=={jax_there}")
    if old:
        print("jax has been replaced. Restart (Runtime, Restart session), then run the cells from the top.")
    return not old


if importlib.util.find_spec("jaxopt_notes") is not None or install():
    import jax

    print(jax.devices())
    if has_tpu and jax.default_backend() != "tpu":
        print("This runtime has a TPU that jax does not see: restart it, or reconnect to another.")
    elif WANTS_TPU and "google.colab" in sys.modules and not has_tpu:
        print("No TPU here; all of it runs as it is. To have one: Runtime, Change runtime type.")
