"""The other end of worker.py: starts an engine's process, tells it what to do, reads its answers."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from workloads import MODELS, Unavailable, library

HERE = Path(__file__).parent


class Worker:
    """An engine's process, alive until it is closed.

    Attributes:
        engine: The engine's name.
        started: What the process said when it was ready: `import_s`, `first_vector_s`, `version`, `level`, `peak_mb`.
    """

    def __init__(self, engine: str, model: str, prepared: Path, python: str, threads: int, level: str | None) -> None:
        """Starts the process and waits until it has encoded one text.

        Raises:
            Unavailable: The engine does not offer its dtype here, or is not installed.
            RuntimeError: The process died.
        """
        self.engine = engine
        self._log = (prepared / f"{engine}-{model}.log").open("w+", encoding="utf-8")
        self._process = subprocess.Popen(  # noqa: S603  the program is this repository's
            [python, str(HERE / "worker.py"), engine, str(prepared / model), str(threads), str(MODELS[model])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env={**os.environ, **environment(engine, threads, level)},
        )
        self.started = self._answer()
        if "unavailable" in self.started:
            self.close()
            raise Unavailable(f"{engine}: {self.started['unavailable']}")

    def round(self, texts: Path, count: int, batch: int, *, alone: bool, save: Path | None) -> dict[str, Any]:
        """One round: `seconds`, or `each` where every text is a call of its own; and `peak_mb`."""
        task = {"texts": str(texts), "count": count, "batch": batch, "alone": alone, "save": save and str(save)}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(task) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        """Ends the process and waits for it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        self._log.close()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            self._log.seek(0)
            raise RuntimeError(f"{self.engine}: the process ended with {self._process.returncode}:\n{self._log.read()}")
        answer: dict[str, Any] = json.loads(line)
        return answer


def environment(engine: str, threads: int, level: str | None) -> dict[str, str]:
    """The variables of an engine's process: no more threads than it may have, and the instructions it may use."""
    variables = {
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "true",
        "RAYON_NUM_THREADS": str(threads),
        "OMP_NUM_THREADS": str(threads),
        "OPENBLAS_NUM_THREADS": "1",  # numpy's, which does nothing but pooling here
    }
    if level is not None and library(engine) == "corten":
        variables["CORTEN_CPU_LEVEL"] = level
    elif level is not None:
        variables |= peers_level(level) or {}
    return variables


def peers_level(level: str) -> dict[str, str] | None:
    """What holds the peers to the instructions of one of Corten's levels; None where nothing does.

    ONNX Runtime has no such switch.
    """
    if level.startswith("avx2"):
        names = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}
        return names | {"CT2_FORCE_CPU_ISA": "AVX2"}
    if level.startswith("avx512"):
        suffix = next((suffix for suffix in ("BF16", "VNNI") if suffix.lower() in level), "")
        return {
            "ONEDNN_MAX_CPU_ISA": f"AVX512_CORE_{suffix}".rstrip("_"),
            "MKL_ENABLE_INSTRUCTIONS": "AVX512",
            "CT2_FORCE_CPU_ISA": "AVX512",
        }
    return None
