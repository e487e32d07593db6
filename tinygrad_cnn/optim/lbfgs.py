"""Limited-memory BFGS: steps along the inverse curvature that the last few gradients show."""

from __future__ import annotations

import numpy as np

from tinygrad_cnn.autograd import modes, versions
from tinygrad_cnn.autograd.annotations import Tensor
from tinygrad_cnn.optim.line_search import Trial, strong_wolfe
from tinygrad_cnn.optim.optimizer import Array, Closure, Group, Optimizer, ParamsT

__all__ = ["LBFGS"]


class LBFGS(Optimizer):
    """Quasi-Newton steps over all parameters as one vector (Nocedal & Wright, Numerical Optimization, 7.2).

    ``step(closure)`` takes up to `max_iter` steps and calls `closure`, which clears the gradients, computes the loss,
    calls backward and returns the loss, after each. The first step is shortened to 1/|g|₁, later ones have length
    `lr`, or, with ``line_search_fn="strong_wolfe"``, begin a search for one that meets the strong Wolfe conditions;
    `history_size` pairs of changes are remembered. It stops when the largest gradient is below
    `tolerance_grad`, or a step or the loss changes by less than `tolerance_change`.

    What is remembered of the curvature is not part of `state_dict`: after loading it is gathered anew.
    Raises ValueError for more than one parameter group and for another line search.
    """

    def __init__(
        self, params: ParamsT, lr: float = 1, max_iter: int = 20, max_eval: int | None = None,
        tolerance_grad: float = 1e-7, tolerance_change: float = 1e-9, history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:  # fmt: skip
        if line_search_fn not in (None, "strong_wolfe"):
            raise ValueError(f"LBFGS expected line_search_fn None or 'strong_wolfe', got {line_search_fn!r}")
        super().__init__(
            params,
            {
                "lr": lr, "max_iter": max_iter, "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
                "tolerance_grad": tolerance_grad, "tolerance_change": tolerance_change,
                "history_size": history_size, "line_search_fn": line_search_fn,
            },
        )  # fmt: skip
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS expected one parameter group: it treats all parameters as one vector")
        self._memory: list[tuple[Array, Array]] = []
        self._last: tuple[Array, Array, float] | None = None  # direction, gradient, length of the last step

    def _step(self, closure: Closure | None) -> Tensor:
        """Up to `max_iter` steps; the loss at the first evaluation is returned."""
        if closure is None:
            raise TypeError("LBFGS.step expected a closure that computes the loss and calls backward")
        group = self.param_groups[0]
        state = self.state[group["params"][0]]
        first = loss = self._evaluate(closure, state)
        evaluations, g = 1, self._gradient()
        for iteration in range(group["max_iter"]):
            if np.abs(g).max(initial=0) <= group["tolerance_grad"]:
                break
            state["n_iter"] = state.get("n_iter", 0) + 1
            direction = self._direction(g, group["history_size"])
            slope = float(g @ direction)
            first_step = self._last is None
            length = min(1.0, 1.0 / float(np.abs(g).sum())) * group["lr"] if first_step else group["lr"]
            self._last = (direction, g, length)
            if slope > -group["tolerance_change"]:
                break
            before = float(loss)
            if group["line_search_fn"] is None:
                self._move(length * direction)
                if iteration + 1 == group["max_iter"]:
                    break
                loss, evaluations = self._evaluate(closure, state), evaluations + 1
                g = self._gradient()
            else:
                start = Trial(0.0, before, g, slope)
                most = group["max_eval"] - evaluations
                found, count = self._search(closure, state, direction, start, length, most)
                length, loss, g, evaluations = found.length, found.loss, found.gradient, evaluations + count
                self._last = (direction, start.gradient, length)
            if (
                evaluations >= group["max_eval"]
                or np.abs(g).max(initial=0) <= group["tolerance_grad"]
                or np.abs(length * direction).max(initial=0) <= group["tolerance_change"]
                or abs(float(loss) - before) < group["tolerance_change"]
            ):
                break
        self.steps_taken += 1
        return first

    def _search(
        self, closure: Closure, state: Group, direction: Array, start: Trial, length: float,
        most: int,
    ) -> tuple[Trial, int]:  # fmt: skip
        """The trial that the line search chooses, with the parameters moved there, and how many were made."""
        before = [p.array.copy() for p in self._all()]

        def move(length: float) -> None:
            for p, values in zip(self._all(), before, strict=True):
                p.array[...] = values
            self._move(length * direction)

        def evaluate(length: float) -> Trial:
            move(length)
            loss = float(self._evaluate(closure, state))
            g = self._gradient()
            return Trial(length, loss, g, float(g @ direction))

        found, count = strong_wolfe(evaluate, start, length, float(np.abs(direction).max()), most)
        move(found.length)
        return found, count

    def _evaluate(self, closure: Closure, state: Group) -> Tensor:
        state["func_evals"] = state.get("func_evals", 0) + 1
        with modes.enable_grad():
            return closure()

    def _direction(self, g: Array, history: int) -> Array:
        """−H·g by the two loops over the remembered changes (algorithm 7.4)."""
        if self._last is not None:
            direction, before, length = self._last
            change, step = g - before, length * direction
            if float(change @ step) > 1e-10:
                self._memory = [*self._memory[-(history - 1) :], (step, change)] if history > 1 else [(step, change)]
        q = -g
        weights = []
        for step, change in reversed(self._memory):
            weight = float(step @ q) / float(change @ step)
            weights.append(weight)
            q = q - weight * change
        if self._memory:
            step, change = self._memory[-1]
            q = q * (float(change @ step) / float(change @ change))
        for (step, change), weight in zip(self._memory, reversed(weights)):
            q = q + step * (weight - float(change @ q) / float(change @ step))
        return q

    def _gradient(self) -> Array:
        return np.concatenate(
            [np.zeros(p.array.size, p.array.dtype) if p.grad is None else p.grad.array.ravel() for p in self._all()]
        )

    def _move(self, step: Array) -> None:
        at = 0
        for p in self._all():
            p.array += step[at : at + p.array.size].reshape(p.array.shape)
            versions.bump(p.array)
            at += p.array.size
