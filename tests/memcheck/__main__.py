"""`python -m tests.memcheck`: every compiled kernel on random and hostile arguments, guard pages around every array.

The cases run in a child process, which says before each kernel what it is about to call: when it dies, the parent names
that call, counts it as a finding and goes on behind it. A finding is also a result that differs from the reference's,
an exception in one form only, an input or the surroundings of an array that were written to, and an index that Numba's
bounds check refused. `--first N --count 1` repeats case N alone.
"""

from __future__ import annotations

import argparse
import mmap
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tinygrad_cnn import kernels

ROOT = Path(__file__).parents[2]
PATIENCE = 900  # seconds for one call; the first one of a kernel compiles it


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.memcheck", description=__doc__)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--count", type=int, default=24_000, help="how many cases (default: 24,000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--no-bounds-check", action="store_true", help="the machine code that users get"
    )
    parser.add_argument("--at", help=argparse.SUPPRESS)  # in the child: the file that says where it is
    args = parser.parse_args(arguments)
    if args.at:
        return child(args)
    with tempfile.TemporaryDirectory(prefix="memcheck") as folder:
        return parent(args, Path(folder))


def parent(args: argparse.Namespace, folder: Path) -> int:
    env = {**os.environ, "TINYGRAD_CNN_KERNELS": "compiled", "PYTHONPATH": str(ROOT)}
    if not args.no_bounds_check:
        # Code with checks must not get into the cache of the code without.
        env |= {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(folder / "cache")}
    at, first, end, findings = folder / "at", args.first, args.first + args.count, 0
    done: Counter[str] = Counter()
    command = [sys.executable, "-X", "faulthandler", "-m", "tests.memcheck", "--at", str(at), "--seed", str(args.seed)]
    while first < end:
        at.write_bytes(bytes(mmap.PAGESIZE))
        ran = subprocess.run([*command, "--first", str(first), "--count", str(end - first)], env=env, cwd=ROOT)
        said = at.read_bytes().rstrip(b"\0").decode()
        if not said:
            print(f"the child process did not begin: exit status {ran.returncode}")
            return 2
        number, call, calls, found = said.split("|")
        done.update({name: int(n) for name, n in (item.split("=") for item in calls.split(",") if item)})
        findings += int(found)
        first = int(number) + 1
        if ran.returncode or int(number) < end:
            how = signal.Signals(-ran.returncode).name if ran.returncode < 0 else f"exit status {ran.returncode}"
            print(f"case {number} (seed {args.seed}): {call} ended its process: {how}", flush=True)
            findings += 1
    missing = kernels._KERNELS - set(done)
    if missing and args.count >= 300:
        print(f"no case calls {', '.join(sorted(missing))}")
        findings += 1
    print(", ".join(f"{name} {n:,}" for name, n in sorted(done.items())))
    checks = "guard pages" if args.no_bounds_check else "guard pages and bounds checks"
    print(
        f"{args.count:,} cases, {sum(done.values()):,} calls of {len(done)} kernels with {checks}: "
        f"{findings or 'no'} findings"
    )
    return 1 if findings else 0


def child(args: argparse.Namespace) -> int:
    import faulthandler

    from tests.memcheck.guard import Guard

    guard = Guard()  # before any kernel is loaded

    from tests.memcheck import check
    from tests.memcheck.cases import case

    forms = kernels._load("compiled", "memcheck"), kernels._load("reference", "memcheck")
    checker = check.Checker(guard, *forms)
    done: Counter[str] = Counter()
    with open(args.at, "r+b") as file, mmap.mmap(file.fileno(), mmap.PAGESIZE) as page:

        def say(number: int, what: str) -> None:
            calls = ",".join(f"{name}={n}" for name, n in done.items())
            text = f"{number}|{what[:2000]}|{calls}|{checker.findings}".encode()
            page[:] = text.ljust(len(page), b"\0")

        for number in range(args.first, args.first + args.count):
            faulthandler.dump_traceback_later(PATIENCE, exit=True)
            say(number, "drawing")
            kernels.set_num_threads(1 + number // 2 % 3)
            kernels.set_float32_conv_precision("high" if number % 3 else "highest")
            at_end = number % 2 == 0
            with guard(at_end):
                drawn = case(number, args.seed)
            for call in drawn.calls:
                what = f"{drawn.name}: {check.described(call)}"
                say(number, what)
                for problem in checker.problems(call, at_end):
                    checker.findings += 1
                    print(f"case {number} (seed {args.seed}): {what}: {problem}", flush=True)
                done[call.kernel] += 1
            del drawn, call
        say(args.first + args.count, "end")
    return 0


if __name__ == "__main__":
    sys.exit(main())
