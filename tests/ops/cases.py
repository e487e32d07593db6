"""The cases of the general ops: see `table` for how a line is written."""

from __future__ import annotations

import numpy as np

from tests.ops.table import Table, distinct, normal, positive, uniform

CASES = Table()
case, pointwise = CASES.case, CASES.pointwise

pointwise("add", lambda tg, F, x, y: x + y, normal, normal, numpy=np.add)
pointwise("exp", lambda tg, F, x: tg.exp(x), normal, numpy=np.exp)
case("matmul", lambda tg, F, a, b: a @ b, normal(3, 4), normal(4, 2), numpy=np.matmul)
case("max:dim", lambda tg, F, x: tg.max(x, 1), distinct(3, 4))
