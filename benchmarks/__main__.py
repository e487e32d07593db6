"""``python -m benchmarks [NAME…]``: measure, print, and write the report beside its plot."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from benchmarks import contestants, driver, report, workloads


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"any of: {', '.join(workloads.ALL)}, scaling (default: all)"
    )
    parser.add_argument(
        "--contestants", default=",".join(contestants.ALL), help="comma-separated (default: all)"
    )
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--rounds", type=int, default=7, help="turns that each contestant takes (default 7)")
    parser.add_argument(
        "--out", type=Path, default=Path("benchmarks/results"), help="folder for the report and the plot"
    )
    parser.add_argument(
        "--data-dir", help="folder with MNIST's IDX files, for the epoch (default: packaged digits)"
    )
    args = parser.parse_args()
    asked = args.names or [*workloads.ALL, "scaling"]
    chosen = args.contestants.split(",")
    for name, known in [(n, [*workloads.ALL, "scaling"]) for n in asked] + [
        (c, list(contestants.ALL)) for c in chosen
    ]:
        if name not in known:
            parser.error(f"unknown name {name!r}; known are: {', '.join(known)}")
    if args.data_dir:
        os.environ["BENCH_DATA_DIR"] = args.data_dir
    args.out.mkdir(parents=True, exist_ok=True)
    described = {}
    for name in chosen:
        worker = driver.Worker(contestants.ALL[name], args.threads)
        if not worker.ask("missing").get("missing"):
            described[name] = worker.ask("describe").get("describe", {})
        worker.close()
    lines = report.environment_lines(described, args.threads)
    print("\n".join(lines), flush=True)
    all_figures = []
    for name in asked:
        if name == "scaling":
            continue
        print(f"\n{name}", flush=True)
        figures = driver.measure(
            workloads.ALL[name], chosen, threads=args.threads, rounds=args.rounds, say=print
        )
        reference = figures.best_of(report.REFERENCE)
        for who in figures.rounds:
            against = (
                ""
                if reference is None
                else "  {1:5.2f}× ({0:.2f}–{2:.2f})".format(*figures.ratio(who, reference))
            )
            peak = f"  peak {figures.peaks[who][0] / 2**20:.0f} MiB" if who in figures.peaks else ""
            print(f"  {who:24s} {report.duration(figures.median(who)):>9s}{against}{peak}", flush=True)
        all_figures.append(figures)
    if all_figures:
        (args.out / "report.md").write_text(report.markdown(all_figures, lines))
        report.plot(all_figures, args.out / "ratios.png")
        print(f"\nwritten: {args.out / 'report.md'}, {args.out / 'ratios.png'}")
    if "scaling" in asked:
        from benchmarks import scaling

        print(f"written: {scaling.run(args.out, args.threads)}")


if __name__ == "__main__":
    main()
