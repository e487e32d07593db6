/* The backward pass as a film: where it stands, and what has arrived where by then.
 *
 * Replays the description's steps: one backward pass, or a recording of a debugger's session. A step is
 *
 *     {node, downstream: [{edge, before, after, contribution}], upstream, back, note}
 *
 * of which all but `node` may be missing. Steps may come again (the later one counts) or go back (`back`: what
 * the step handed on is taken back, sums return to `before`). `upstream` and `contribution` are there when they
 * differ from the node's gradient and the edge's contribution, as after an edit; `note` is a sentence to show.
 * Knows no page elements; `controls.js` has the buttons, `product.js` shows the multiplication.
 */
'use strict';

const Player = (() => {
  class Player {
    constructor(model) {
      this.model = model;
      this.steps = model.steps;
      this.hasSteps = this.steps.length > 0;
      this.hasGradients = this.hasSteps || model.nodes.some((node) => node.record.gradient);
      this.visited = new Set(this.steps.map((step) => step.node));
      this.total = new Map(); // module key → how many of its nodes are ever visited
      for (const node of this.visited) this.countUp(this.total, node, 1);
      this.scale = Colours.sizeScale(this.sizes());
      this.listeners = [];
      this.reset();
      this.position = 0;
      this.seek(this.steps.length);
      this.moved = false; // the page begins with everything known, and no step singled out
    }

    *sizes() {
      for (const edge of this.model.edges) yield Format.magnitude(edge.record.contribution);
      for (const node of this.model.nodes) yield Format.magnitude(node.record.gradient);
    }

    onMove(listener) {
      this.listeners.push(listener);
    }

    /** The step just made; null at the very beginning, and until somebody moves. */
    get current() {
      return this.moved && this.position > 0 ? this.steps[this.position - 1] : null;
    }

    get node() {
      return this.current ? this.current.node : null;
    }

    // --- moving -----------------------------------------------------------------------------

    reset() {
      this.arrived = new Map(); // node → gradient received so far
      this.done = new Set();
      this.handed = new Map(); // edge → what has been handed back along it
      this.progress = new Map();
      const first = this.steps[0];
      // The seed is there before anything moves.
      if (first) this.arrived.set(first.node, this.upstreamOf(first));
    }

    /** Go to just after step number `position` (0: before the first). */
    seek(position) {
      const goal = Math.max(0, Math.min(this.steps.length, position));
      if (goal < this.position) {
        this.reset();
        this.position = 0;
      }
      while (this.position < goal) {
        this.apply(this.steps[this.position]);
        this.position += 1;
      }
      this.moved = true;
      for (const listener of this.listeners) listener(this);
    }

    apply(step) {
      const back = Boolean(step.record.back);
      if (!back) this.arrived.set(step.node, this.upstreamOf(step));
      if (back ? this.done.delete(step.node) : !this.done.has(step.node) && this.done.add(step.node)) {
        this.countUp(this.progress, step.node, back ? -1 : 1);
      }
      for (const item of step.downstream) {
        const sum = back ? item.before : afterOf(item);
        if (sum) this.arrived.set(item.edge.from, sum);
        else this.arrived.delete(item.edge.from);
        if (back) this.handed.delete(item.edge);
        else this.handed.set(item.edge, contributionOf(item));
      }
    }

    countUp(counts, node, by) {
      for (let up = node.parent; up; up = up.parent) counts.set(up.key, (counts.get(up.key) || 0) + by);
    }

    // --- what holds at this moment ----------------------------------------------------------

    /** The gradient a step multiplies with: its own record, else the node's (they are the same in one pass). */
    upstreamOf(step) {
      return step.record.upstream || step.node.record.gradient || null;
    }

    /** none (no gradient flows here), waiting, partial (some has arrived) or done (its step was made). */
    stateOf(node) {
      if (!this.hasSteps) return node.record.gradient ? 'done' : 'none';
      if (this.done.has(node)) return 'done';
      if (this.arrived.has(node)) return 'partial';
      return this.visited.has(node) ? 'waiting' : 'none';
    }

    gradientOf(node) {
      if (!this.hasSteps) return node.record.gradient || null;
      return this.arrived.get(node) || null;
    }

    /** What was handed back along an edge; null when nothing was by now. */
    contributionAlong(edge) {
      return (this.hasSteps ? this.handed.get(edge) : edge.record.contribution) || null;
    }

    /** How far the backward pass is inside a module, from 0 to 1. */
    progressOf(module) {
      const total = this.total.get(module.key);
      if (!total) return this.hasGradients && !this.hasSteps ? 1 : 0;
      return (this.progress.get(module.key) || 0) / total;
    }

    /** Of the edges drawn as one line: whether anything flowed back, and how much (root of the sum of squares). */
    flowOf(edges) {
      let squares = 0;
      let known = false;
      let arrived = false;
      for (const edge of edges) {
        if (Format.magnitude(edge.record.contribution) === null) continue;
        known = true;
        if (this.hasSteps && !this.handed.has(edge)) continue;
        const size = Format.magnitude(this.contributionAlong(edge));
        arrived = true;
        squares += size * size;
      }
      if (!known) return { state: 'none', size: null };
      return arrived ? { state: 'done', size: Math.sqrt(squares) } : { state: 'waiting', size: null };
    }
  }

  function contributionOf(item) {
    return item.contribution || item.edge.record.contribution || null;
  }

  /** The sum after a product arrived: the product itself where it is the first. */
  function afterOf(item) {
    return item.after || contributionOf(item);
  }

  return { Player, contributionOf };
})();
