"""What makes the engine fast, apart from what it is. Each file says which plain thing it equals.

| file | trick | equals |
| --- | --- | --- |
| `calls` | unrolled calls of elementwise ops | `primitive.Op.__call__` |
| `loop` | the tuned backward pass, sums in place, arrays taken over | `backward_pass.BackwardPass.run` |
| `lazy` | gradients that are mostly zeros, laid out late | the array that `dense()` gives |
| `deferred` | consecutive ops in one pass over the memory | each op called by itself (``set_fusion(False)``) |

tests/autograd/test_fast.py holds the first three equal to the plain engine bit for bit, tests/ops/test_fused.py
the last. The plain files import nothing from here but the loop, which `driver` runs passes with.
"""
