"""`python -m tests.fuzz`: every reader of files on thousands of damaged ones.

A file is read, or refused with an error of `tinygrad_cnn.errors` whose message is one short line. Everything else is a
finding: another exception, a crash, more than 10 seconds for one file, more than 1 GB of memory. Each reader runs in
child processes with a limit on their memory. `--reader NAME --first N --count 1` repeats file N.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

from tests.fuzz.damage import damaged, structured
from tests.fuzz.readers import Reader, readers
from tinygrad_cnn.errors import UserError

ROOT = Path(__file__).parents[2]
MOST_SECONDS, MOST_BYTES = 10, 1 << 30
#: Of the address space of a child: what Python, NumPy and Numba's libraries take, and what a file may take.
ADDRESS_SPACE = 4 << 30
AT_ONCE = 1000  # files per child


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=5000, help="files per reader (default: 5000)")
    parser.add_argument("--first", type=int, default=0, help="number of the first file")
    parser.add_argument("--reader", help="only this reader")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="fuzz") as folder:
        if args.child:
            return child(args, Path(folder))
        return parent(args, Path(folder))


def parent(args: argparse.Namespace, folder: Path) -> int:
    names = [reader.name for reader in readers(folder)]
    if args.reader is not None and args.reader not in names:
        print(f"unknown reader {args.reader!r}; known: {', '.join(names)}")
        return 2
    findings = 0
    for name in names if args.reader is None else [args.reader]:
        done: Counter[str] = Counter()
        peak, slowest = 0, 0.0
        for first in range(args.first, args.first + args.count, AT_ONCE):
            count = min(AT_ONCE, args.first + args.count - first)
            command = [sys.executable, "-m", "tests.fuzz", "--child", "--reader", name]
            ran = subprocess.run(
                [*command, "--first", str(first), "--count", str(count)],
                cwd=ROOT, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
            )  # fmt: skip
            lines = ran.stdout.splitlines()
            for line in lines:
                if line.startswith("finding: "):
                    print(f"{name}: {line}")
                    findings += 1
            if not lines or not lines[-1].startswith("{"):
                print(f"{name}: the child died with {ran.returncode} near file {first}: {ran.stderr[-500:]}")
                findings += 1
                continue
            said = json.loads(lines[-1])
            done.update(said["outcomes"])
            peak, slowest = max(peak, said["peak"]), max(slowest, said["slowest"])
        if peak > MOST_BYTES:
            print(f"{name}: a peak of {peak / 2**20:,.0f} MB")
            findings += 1
        told = ", ".join(f"{n:,} {what}" for what, n in sorted(done.items()))
        print(f"{name}: {told}; peak {peak / 2**20:,.0f} MB, slowest {slowest:.2f} s", flush=True)
    print(f"{findings} findings")
    return 1 if findings else 0


def child(args: argparse.Namespace, folder: Path) -> int:
    (reader,) = [reader for reader in readers(folder) if reader.name == args.reader]
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    warnings.simplefilter("ignore")
    outcomes: Counter[str] = Counter()
    slowest = 0.0
    for number in range(args.first, args.first + args.count):
        started = time.perf_counter()
        outcomes[outcome(reader, number, folder)] += 1
        slowest = max(slowest, time.perf_counter() - started)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"outcomes": outcomes, "peak": peak, "slowest": slowest}))
    return 0


def outcome(reader: Reader, number: int, folder: Path) -> str:
    """What the reader does with damaged file `number`; a finding is printed."""
    path = folder / f"file{reader.ending}"
    path.write_bytes(content(reader, number))
    before = signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(MOST_SECONDS)
    try:
        reader.read(path)
        return "read"
    except UserError as error:
        if len(str(error).splitlines()) <= 1 and len(str(error)) < 2000:
            return "refused"
        what = f"a message of {len(str(error))} characters in {len(str(error).splitlines())} lines"
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        what = f"{type(error).__name__}: {str(error)[:200]!r}"
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    print(f"finding: file {number}: {what}")
    return "findings"


def content(reader: Reader, number: int) -> bytes:
    """The content of damaged file `number`: every other one has hostile fields where there is JSON inside."""
    rng = random.Random(f"{reader.name} {number}")
    if reader.inside is not None and number % 2:
        text, put = reader.inside
        return put(structured(text, rng))
    return damaged(reader.sample, rng)


def _too_long(*_: Any) -> None:
    raise TimeoutError(f"more than {MOST_SECONDS} seconds")


if __name__ == "__main__":
    raise SystemExit(main())
