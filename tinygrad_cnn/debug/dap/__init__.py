"""The Debug Adapter Protocol: editors step the backward pass.

    tinygrad-cnn dap                on standard streams, for an editor that starts it
    tinygrad-cnn dap --port 5678    on a loopback port
    tg.debug.listen(5678)           in a running program, for an editor to attach

Its rooms, from the wire inwards: `protocol` (frames), `messages` (types), `server` (one conversation),
`adapter` (states and the dispatch table), then what answers: `setting`, `stack`, `variables`, `stepping`,
`console`. `program` is the thread under debug; `launch`, `serve` and `listen` are the ways to begin.
"""
