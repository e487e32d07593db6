"""The backward debugger: step through gradients, forwards and backwards, as through code.

    s = tg.debug.BackwardSession(loss)      a plain object, paused before the first node
    s.step(n)  s.back(n)  s.goto("relu")  s.run_until("norm > 10")  s.finish_module()
    s.breakpoints.add("features.* if nan"); s.continue_(); s.reverse_continue()
    s.node  s.upstream  s.downstream  s.stop  s.position  s.total  s.at_end  s.closed
    s.state()  s.where()  s.history()       plain data, ready for JSON (see `snapshot.describe`)
    s.evaluate("abs(g).max()")  s.watch("norm")  s.matches(query)  s.find("relu")
    s.explain(node, (0, 2), input=0)  s.check()  s.into()  s.record(path)
    s.edit(gradient, node=…, input=…, value=…, index=…)
    s.finish()                              what loss.backward() leaves, bit for bit; s.abort() puts all back

    i = Interpreter(s)                      the command language of the terminal and of editors' consoles
    r = i.execute("b relu if norm > 3")     a Reply: .text, .moved, .edited, .breakpoints, .resume, .quit
    i.complete("goto fea")                  completions

    tg.debug.listen(5678)                   an editor may attach to this program (Debug Adapter Protocol)

    BackwardSession.on(work)                a pass of whatever engine, see `passes.Pass` and `node.Node`

Selectors and conditions: `selectors`, `conditions`. Breakpoints: `breakpoints`.
"""

from tinygrad_cnn.bridge.passes import Visit
from tinygrad_cnn.debug.anomaly import Anomaly, AnomalyError, Finding, anomaly
from tinygrad_cnn.debug.backward_session import BackwardSession
from tinygrad_cnn.debug.breakpoints import Breakpoint, Breakpoints
from tinygrad_cnn.debug.commands import Interpreter, Reply
from tinygrad_cnn.debug.dap.listen import listen, unlisten
from tinygrad_cnn.debug.diagnose import Ailment, Report, diagnose
from tinygrad_cnn.debug.paused import Stop
from tinygrad_cnn.debug.recorder import Recorder, TrainingStep
from tinygrad_cnn.debug.replay import Replay
from tinygrad_cnn.debug.script import open_session, post_mortem, run_script, set_trace, unset_trace
from tinygrad_cnn.debug.terminal import Terminal
from tinygrad_cnn.debug.training_watch import TrainingWatch, watch

__all__ = [
    "Ailment", "Anomaly", "AnomalyError", "BackwardSession", "Breakpoint", "Breakpoints", "Finding", "Interpreter",
    "Recorder", "Replay", "Reply", "Report", "Stop", "Terminal", "TrainingStep", "TrainingWatch", "Visit", "anomaly",
    "diagnose",
    "listen", "open_session", "post_mortem", "run_script", "set_trace", "unlisten", "unset_trace", "watch",
]  # fmt: skip
