"""Compare this package with PyTorch on PyTorch's own samples of every op both have: `make conformance`."""

from __future__ import annotations

import sys
import warnings
from collections import Counter
from pathlib import Path

import torch

from tests.conformance.compare import DIFFERENT, EQUAL, ERROR, outcomes, public, reason_to_leave_out

KNOWN = Path(__file__).with_name("known.txt")
GOAL = 0.99


def known() -> dict[str, str]:
    """The checked-in differences, and the reason of each: lines of `variant:form<TAB>reason`."""
    lines = (line for line in KNOWN.read_text().splitlines() if line and not line.startswith("#"))
    return dict(line.split("\t", 1) for line in lines)  # type: ignore[misc]


def main(names: list[str]) -> int:
    from torch.testing._internal.common_methods_invocations import op_db

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    total: Counter[str] = Counter()
    left_out: Counter[str] = Counter()
    expected, unexpected, met, variants = known(), [], set(), 0
    for op in op_db:
        if public(op.name) is None or (names and op.name not in names):
            continue
        if reason := reason_to_leave_out(op):
            left_out[f"{reason} (whole op)"] += 1
            continue
        found = list(outcomes(op, lambda reason: left_out.update([reason])))
        counts = Counter(o.kind for o in found)
        total += counts
        variants += bool(found)
        for o in (o for o in found if o.kind != EQUAL):
            key = f"{o.variant}:{o.form}"
            met.add(key)
            if key not in expected:
                unexpected.append(o)
        if counts[DIFFERENT] or counts[ERROR] or names:
            print(
                f"{op.name} {op.variant_test_name}: {counts[EQUAL]} equal, {counts[DIFFERENT]} different, "
                f"{counts[ERROR]} errors"
            )
    print("\nLeft out:")
    for reason, n in left_out.most_common():
        print(f"  {n:5}  {reason}")
    print("\nKnown differences:")
    for key in sorted(met & set(expected)):
        print(f"  {key}: {expected[key]}")
    stale = [] if names else sorted(set(expected) - met)
    for key in stale:
        print(f"{KNOWN.name}: {key} is listed but no longer differs; remove the line")
    print("\nUnexpected:" if unexpected else "\nNothing unexpected.")
    for o in unexpected:
        print(f"  {o.name} {o.kind}: {o.detail}")
    share = total[EQUAL] / max(sum(total.values()), 1)
    print(
        f"\n{total[EQUAL]:,} equal, {total[DIFFERENT]} different, {total[ERROR]} errors over {variants} variants: "
        f"{share:.2%} equal (goal {GOAL:.0%}), PyTorch {torch.__version__}"
    )
    return int(bool(unexpected or stale or share < GOAL))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
