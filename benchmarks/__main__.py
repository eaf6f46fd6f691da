"""All benchmarks in one run: ``python -m benchmarks [--only quality,encoding,storage,...]``."""

from __future__ import annotations

import argparse
import subprocess
import sys

PARTS = (
    "quality",
    "robust",
    "encoding",
    "storage",
    "cold",
    "langchain_store",
    "client",
    "reranking",
    "reranking_quality",
    "refusal",
    "rewriting",
    "questions",
    "onnx",
    "onnx_quality",
    "late_chunking",
    "linear",
)
WITH_DATA = ("quality", "robust")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", default=",".join(PARTS), help="parts to run, by comma")
    parser.add_argument("--data", help="folder of more files for the quality and robust parts")
    options = parser.parse_args()
    chosen = options.only.split(",")
    if unknown := sorted(set(chosen) - set(PARTS)):
        parser.error(f"unknown parts {unknown}; there are {list(PARTS)}")
    failed = []
    for part in chosen:  # each in a process of its own: what one leaves in memory slows no other
        arguments = ["--data", options.data] if part in WITH_DATA and options.data else []
        run = subprocess.run([sys.executable, "-m", f"benchmarks.{part}", *arguments], check=False)
        if run.returncode:
            failed.append(part)
        print(flush=True)
    if failed:
        print(f"failed or below a goal: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
