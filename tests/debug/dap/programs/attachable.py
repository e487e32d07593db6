"""Waits for an editor on a free port, which it prints first."""

import tinygrad_cnn as tg
from tinygrad_cnn.debug.dap.access import token_file
from tinygrad_cnn.debug.dap.listen import wait_for_client

port = tg.debug.listen(0, wait=False)
print(port, token_file(port).read_text(), flush=True)
wait_for_client(60)
x = tg.tensor([1.0, 2.0], requires_grad=True)
for _ in range(2):
    loss = (x * x).sum()
    loss.backward()
print(x.grad.tolist(), flush=True)
