"""Rounds in turn: each engine does one, then each does the next, so that a change in the machine's load meets all."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from pipe import Worker
from workloads import MODELS, Unavailable, Workload

if TYPE_CHECKING:
    from pathlib import Path

BATCHES = (16, 32)
# Between two rounds: threads of an engine that has just worked may still spin in wait of more.
PAUSE_S = 0.3


@dataclass
class Result:
    """What one engine did on one workload.

    Attributes:
        batch: The batch size that was faster in the round that warms up.
        seconds: The shortest round; for texts alone the median call of the best round.
        p99_s: For texts alone, the 99th percentile over the calls of all rounds.
        worst_cosine: The least similarity of a text's vector with that of torch in float32, over all rounds.
        peak_mb: The process' greatest memory after its first round, which has the smallest batch size.
        started: What the process said when it was ready, with the shortest times of all its starts.
    """

    engine: str
    workload: Workload
    tokens: int
    batch: int
    started: dict[str, Any]
    peak_mb: float | None
    seconds: float = np.inf
    p99_s: float | None = None
    worst_cosine: float = 1.0
    calls: list[float] = field(default_factory=list)

    @property
    def tokens_per_s(self) -> float:
        """Tokens that the model sees, special tokens included, padding not."""
        return self.tokens / self.seconds


@dataclass(frozen=True)
class Setting:
    """What the command line says about all engines."""

    prepared: Path
    pythons: dict[str, str]
    threads: int
    rounds: int
    starts: int
    level: str | None


def start(setting: Setting, engine: str, model: str) -> Worker:
    """An engine's process."""
    python = setting.pythons["corten" if engine.startswith("corten") else "peers"]
    return Worker(engine, model, setting.prepared, python, setting.threads, setting.level)


def start_all(setting: Setting, engines: list[str], model: str) -> list[Worker]:
    """The processes of all engines, some times over; those of the last time live on, with the shortest times of all."""
    best: dict[str, dict[str, Any]] = {}
    workers: list[Worker] = []
    engines = list(engines)
    for attempt in range(setting.starts):
        for engine in list(engines):
            try:
                worker = start(setting, engine, model)
            except Unavailable as reason:
                print(f"  left out: {reason}", flush=True)
                engines.remove(engine)
                continue
            known = best.setdefault(engine, worker.started)
            for name in ("import_s", "first_vector_s"):
                known[name] = min(known[name], worker.started[name])
            if attempt + 1 < setting.starts:
                worker.close()
            else:
                worker.started = known
                workers.append(worker)
    return workers


def worst_cosine(rows: Path, reference: Path) -> float:
    """The least cosine of a row with its reference; NaN where a value is not finite."""
    ours, theirs = np.load(rows).astype(np.float64), np.load(reference).astype(np.float64)
    assert ours.shape == theirs.shape, f"{rows}: expected shape {theirs.shape}, found {ours.shape}"
    lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    return float(((ours * theirs).sum(axis=1) / lengths).min())


def run_workload(setting: Setting, workers: list[Worker], workload: Workload, tokens: int) -> list[Result]:
    """A round of each batch size that warms up and decides for one, then the rounds that count."""
    texts, reference = (setting.prepared / f"{workload.name}.{suffix}" for suffix in ("json", "npy"))
    rows = setting.prepared / "rows.npy"

    def one_round(worker: Worker, batch: int) -> tuple[dict[str, Any], float]:
        time.sleep(PAUSE_S)
        answer = worker.round(texts, workload.count, batch, alone=workload.alone, save=rows)
        return answer, worst_cosine(rows, reference)

    results = []
    for worker in workers:
        answers = {batch: one_round(worker, batch) for batch in ((1,) if workload.alone else BATCHES)}
        seconds = {batch: answer.get("seconds", 0.0) for batch, (answer, _) in answers.items()}
        peak = next(iter(answers.values()))[0]["peak_mb"]
        result = Result(worker.engine, workload, tokens, min(seconds, key=seconds.__getitem__), worker.started, peak)
        # min() of a NaN and a number depends on their order; this does not.
        result.worst_cosine = float(np.min([cosine for _, cosine in answers.values()]))
        results.append(result)
    for number in range(setting.rounds):
        for worker, result in zip(workers, results, strict=True):
            answer, cosine = one_round(worker, result.batch)
            result.worst_cosine = float(np.min([result.worst_cosine, cosine]))
            if workload.alone:
                result.calls += answer["each"]
                result.seconds = min(result.seconds, float(np.median(answer["each"])))
                result.p99_s = float(np.percentile(result.calls, 99))
            else:
                result.seconds = min(result.seconds, answer["seconds"])
        print(f"  {workload.name}: round {number + 1} of {setting.rounds}", file=sys.stderr, flush=True)
    return results


def run_model(
    setting: Setting, engines: list[str], model: str, workloads: list[tuple[Workload, int]]
) -> list[list[Result]]:
    """All workloads of one model, each a list of results; `workloads` has the number of their tokens beside them."""
    print(f"{model}: at most {MODELS[model]} tokens", flush=True)
    workers = start_all(setting, engines, model)
    try:
        return [run_workload(setting, workers, workload, tokens) for workload, tokens in workloads]
    finally:
        for worker in workers:
            worker.close()
