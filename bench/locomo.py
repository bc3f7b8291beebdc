"""LoCoMo retrieval through HTTP against a fresh daemon, every memory with its vectors.

The data set is for measuring only and no part of the repository: where its harness is absent, this says so.
Run from the repository: python -m bench.locomo
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench.running import Row, arguments, at_least, daemon, report, say, scratch

HARNESS = Path(__file__).parents[2] / "shared" / "bench" / "locomo" / "harness.py"
RECALL = 0.82
MRR = 0.66
SECONDS = 1800.0


def run(harness: Path, options: list[str], result: Path) -> dict[str, Any]:
    """What the harness measured."""
    command = [sys.executable, str(harness), "--split", "dev", "--no-questions", "--json", str(result), *options]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=SECONDS)
    found: dict[str, Any] = json.loads(result.read_bytes())
    return found


def rows_of(result: dict[str, Any]) -> list[Row]:
    """The figures beside their targets."""
    overall, ci, took = result["overall_ex_adversarial"], result["ci95"], result["latency_ms"]
    leaks = result["description"].rpartition(": ")[2]
    rows = [
        at_least("recall@10", overall["recall@10"], "", RECALL, extra=f"(95 %: {ci['recall@10']})"),
        at_least("MRR", overall["mrr"], "", MRR, extra=f"(95 %: {ci['mrr']})"),
        Row("recall@5", f"{overall['recall@5']:.4f}"),
        Row("searches", f"p50 {took['p50']:.2f} ms, p95 {took['p95']:.2f} ms"),
        Row("adds, vectors waited for", f"{result['ingest']['memories_per_s']} memories/s"),
        Row("results of another user", leaks, "0", met=leaks == "0"),
    ]
    parts = result["by_category"].items()
    return rows + [Row(f"recall@10, {name}", f"{part['recall@10']:.4f}") for name, part in parts if part["n"]]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--harness", type=Path, default=HARNESS, help="harness.py of the LoCoMo measurement")
    options = parser.parse_args()
    if not options.harness.exists():
        say(f"not measured: there is no LoCoMo harness at {options.harness}; name it with --harness")
        return
    with scratch(options.place) as folder, daemon(folder) as running:
        base = f"base=http://{running.host}:{running.port}"
        wait = f"extra={json.dumps({'wait_vectors': True})}"
        result = run(options.harness, ["--adapter", "http", "--opt", base, "--opt", wait], folder / "locomo.json")
    count = result["overall_ex_adversarial"]["n"]
    report(f"LoCoMo, development half, {count} questions", rows_of(result), options.json)


if __name__ == "__main__":
    main()
