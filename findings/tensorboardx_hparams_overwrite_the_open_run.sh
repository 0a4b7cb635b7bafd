#!/usr/bin/env bash
# Guess: `SummaryWriter.add_hparams(..., name=".")`, which keeps hyperparameters and their metric in the run's own folder,
#     adds to what the writer has there.
# What happens: it opens a second writer, whose event file is named by the second, host and process, as the first one's.
#     Within the same second both have one name, and what one of them wrote is gone: here the metric. With a
#     `filename_suffix` for the first writer nothing is lost. (torch's writer of the same interface calls the argument
#     `run_name`.)
# Versions: tensorboardX 2.6.5, tensorboard 2.21.0 to read the files.
# Whom it matters to: everyone who logs short runs, such as the members of a hyperparameter search, with their
#     hyperparameters beside their curves.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  "tensorboardX==2.6.5" "tensorboard==2.21.0" "setuptools<81"
"$folder/venv/bin/python" - "$folder/runs" <<'PYTHON'
import inspect
import pathlib
import sys
import time

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboardX import SummaryWriter

assert "name" in inspect.signature(SummaryWriter.add_hparams).parameters
assert "run_name" not in inspect.signature(SummaryWriter.add_hparams).parameters


def logged(folder, **options):
    time.sleep(1 - time.time() % 1)  # both writers open at the beginning of one second
    writer = SummaryWriter(str(folder), **options)
    writer.add_scalar("loss", 1.0, 1)
    writer.add_hparams({"learning_rate": 0.1}, {"score": 2.0}, name=".")
    writer.close()
    events = EventAccumulator(str(folder))
    events.Reload()
    return set(events.Tags()["scalars"])


runs = pathlib.Path(sys.argv[1])
assert logged(runs / "suffix", filename_suffix=".run") == {"loss", "score"}
found = logged(runs / "plain")
assert found < {"loss", "score"}, found
print("as described: of loss and score there is", found or "nothing")
PYTHON
