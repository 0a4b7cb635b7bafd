"""Processes, on one machine or several, that share one study of Optuna and take up what one leaves behind.

Nobody is in charge: a study in a storage is all they have in common. Each process is a worker with a name. It
writes its name beside every trial that it asks for, and counts on, in an attribute of the study, as long as
it lives. A worker whose count has not moved for a while, by the clock of the one who looks (clocks of
machines differ), is dead: its unfinished trials are marked as failed, which the storage lets only one process
do, and are enqueued again with the same hyperparameters.
"""

import os
import socket
import threading
import time
import uuid
from typing import Any

ALIVE, OWNER, TAKEN_UP = "alive/", "worker", "taken_up"


class Worker:
    """This process in one study.

    Arguments:
        study: an `optuna.Study`; its storage is used from another thread, too.
        grace: seconds without a sign of life after which a worker is dead.
    """

    def __init__(self, study: Any, grace: float):
        self.name = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:6]}"
        self.grace = grace
        self._seen: dict[str, tuple[Any, float]] = {}
        self._stopped = threading.Event()
        self._study = study
        study.set_user_attr(ALIVE + self.name, 0)
        threading.Thread(target=self._live, daemon=True, name=f"optuna worker {self.name}").start()

    def _live(self) -> None:
        count = 0
        while not self._stopped.wait(self.grace / 5):
            count += 1
            try:
                self._study.set_user_attr(ALIVE + self.name, count)
            except Exception:  # a storage that cannot be reached for a moment: try again
                continue

    def stop(self) -> None:
        """Nothing of this worker is on its way any more."""
        self._stopped.set()

    def own(self, trial: Any) -> None:
        """Write the name of this worker beside a trial."""
        trial.set_user_attr(OWNER, self.name)

    def take_up(self, trials: list) -> list[int]:
        """Enqueue again what dead workers have left behind.

        Arguments:
            trials: of the study.

        Returns:
            The numbers of the trials that this worker has taken up.
        """
        from optuna.trial import TrialState

        found, signs = [], dict(self._study.user_attrs)
        for trial in trials:
            if trial.state != TrialState.RUNNING or not self._is_dead(trial, signs):
                continue
            storage = self._study._storage
            try:
                storage.set_trial_user_attr(trial._trial_id, TAKEN_UP, self.name)
                mine = storage.set_trial_state_values(trial._trial_id, state=TrialState.FAIL)
            except (RuntimeError, KeyError):  # another worker was quicker
                continue
            if mine is not False:
                self._study.enqueue_trial(trial.params, user_attrs={"first_asked_as": trial.number})
                found.append(trial.number)
        return found

    def _is_dead(self, trial: Any, signs: dict[str, Any]) -> bool:
        """Whether the owner of a trial has given no sign of life for as long as the grace, seen from here."""
        owner = trial.user_attrs.get(OWNER, f"nobody/{trial.number}")
        if owner == self.name:
            return False
        sign, now = signs.get(ALIVE + owner), time.monotonic()
        last, since = self._seen.get(owner, (object(), now))
        if last != sign:
            since = now
        self._seen[owner] = sign, since
        return now - since > self.grace


def wanted(study: Any, worker: Worker, n: int, batch: int) -> int:
    """How many trials a worker should ask for: enqueued ones, and those that are missing from n.

    Where all have been asked for it waits until the others have finished theirs, or have died.

    Arguments:
        n: trials in the study, of all workers together.
        batch: at most so many.

    Returns:
        0 when all n have been trained.
    """
    from optuna.trial import TrialState

    while True:
        worker.take_up(study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)))
        trials = study.get_trials(deepcopy=False)
        counted = [trial for trial in trials if TAKEN_UP not in trial.user_attrs]
        waiting = sum(trial.state == TrialState.WAITING for trial in counted)
        running = sum(trial.state == TrialState.RUNNING for trial in counted)
        if missing := waiting + max(n - len(counted), 0):
            return min(batch, missing)
        if not running:
            worker.stop()
            return 0
        time.sleep(min(1.0, worker.grace / 5))
