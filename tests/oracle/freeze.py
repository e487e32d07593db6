"""Ask PyTorch for the value and all gradients of every case, and freeze the answers: `make oracle`."""

from __future__ import annotations

import sys

from tests.ops import driver, index_expressions
from tests.oracle.answers import FILE, fingerprint, write


def main() -> int:
    import numpy as np
    import torch

    torch.set_num_threads(1)
    answers, failed = {}, 0
    for case in driver.all_cases():
        if case.torch is None:
            continue
        try:
            found = driver.torch_answers(case)
        except Exception as error:
            print(f"{case.name}: PyTorch raised {type(error).__name__}: {error}", file=sys.stderr)
            failed += 1
            continue
        answers[case.name] = fingerprint(case.inputs()[0]), [*found.values, *found.grads]
    if failed:
        return 1
    size = write(torch.__version__.split("+")[0], answers)
    print(f"{FILE.name}: {len(answers)} cases, {size:,} bytes, PyTorch {torch.__version__}")
    np.save(index_expressions.FILE, index_expressions.answers(torch))
    print(f"{index_expressions.FILE.name}: {index_expressions.COUNT} index expressions")
    return 0


if __name__ == "__main__":
    sys.exit(main())
