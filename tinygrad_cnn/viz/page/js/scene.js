/* What is to be drawn now: the open and closed boxes with their places, and the lines between visible boxes.
 *
 * Each open module's inside is laid out on its own by `Layout` and kept until something inside it opens or
 * closes, so opening one module costs its ancestors' layouts and no more. A line between two nodes is led to the
 * innermost visible boxes that contain them, and lines that then join the same two boxes are drawn as one.
 */
'use strict';

const Scene = (() => {
  const PAD = 16;
  const HEADER = 34;
  const START_BOXES = 150;
  const FULL = 24; // up to so many boxes, a graph is shown whole even where one must scroll
  const DOCKED = 16; // where more boxes than this would be shown, layers keep their parameters inside
  const GUTTER = 46; // between the columns of a long chain
  const TURN = 22; // room over and under the columns, where lines turn

  class Scene {
    /** @param positions module path → {node id or "module:" + path → {x, y}}: Graphviz's places, or null */
    constructor(model, positions) {
      this.model = model;
      this.positions = positions || {};
      this.drawn = { horizontal: model.horizontal, flipped: model.flipped }; // how the positions lie
      this.cache = new Map();
      this.pairs = collectPairs(model);
      this.open = new Set([model.root.key]);
      this.room = { w: 900, h: 620 };
      this.startOpen();
      this.arrange();
    }

    // --- open and close ---------------------------------------------------------------------

    /** As the description says, then the modules with most boxes closed until few enough are left. */
    startOpen() {
      for (const box of this.model.containers) if (box.parent && box.record?.open !== false && !['group', 'calls'].includes(box.cls)) this.open.add(box.key);
      let shown = 0;
      const queue = [this.model.root];
      const kept = new Set([this.model.root.key]);
      // Breadth first: outer modules are opened before inner ones.
      shown = this.model.root.children.length;
      while (queue.length) {
        const box = queue.shift();
        for (const child of box.children) {
          if (!child.isModule || !this.open.has(child.key)) continue;
          if (shown + child.children.length > START_BOXES) continue;
          shown += child.children.length;
          kept.add(child.key);
          queue.push(child);
        }
      }
      if (shown > DOCKED) for (const box of this.model.containers) if (isLayer(box)) kept.delete(box.key);
      this.open = kept;
    }

    /** Where the first view would not fit into the room, the largest open modules are closed, the innermost first. */
    closeUntilFit() {
      let shown = [...this.places.values()].filter((place) => !place.open).length;
      while (shown > FULL && (this.bounds.w > this.room.w || this.bounds.h > this.room.h)) {
        let most = null;
        for (const place of this.places.values()) {
          const { box } = place;
          const top = !box.parent || (box.parent === this.model.root && this.model.root.children.filter((child) => child.isModule).length < 2);
          if (!place.open || top || box.children.some((child) => this.isOpen(child))) continue;
          if (!most || place.w * place.h > most.w * most.h) most = place;
        }
        if (!most) return;
        this.setOpen(most.box, false);
        shown = [...this.places.values()].filter((place) => !place.open).length;
      }
    }

    /** The room that a chain is wrapped into; the window tells it before the first drawing. */
    setRoom(room) {
      this.room = room;
      this.cache.clear();
      this.arrange();
    }

    isOpen(box) {
      return box.isModule && this.open.has(box.key);
    }

    setOpen(box, open) {
      if (!box.isModule || !box.parent || this.isOpen(box) === open) return;
      if (open) this.open.add(box.key);
      else this.open.delete(box.key);
      this.forget(box);
      this.arrange();
    }

    /** From top-down to left-to-right, and back. */
    turn() {
      this.model.horizontal = !this.model.horizontal;
      this.cache.clear();
      this.arrange();
    }

    setAll(open) {
      this.open = new Set(open ? this.model.containers.map((box) => box.key) : [this.model.root.key]);
      this.cache.clear();
      this.arrange();
    }

    /** Open whatever contains the box, so that the box itself is visible. */
    reveal(box) {
      let changed = false;
      for (let up = box.parent; up; up = up.parent) {
        if (this.open.has(up.key)) continue;
        this.open.add(up.key);
        this.forget(up);
        changed = true;
      }
      if (changed) this.arrange();
      return changed;
    }

    forget(box) {
      for (let up = box; up; up = up.parent) this.cache.delete(up.key);
    }

    /** The innermost box that contains `box` (or is it) and can be seen now. */
    visible(box) {
      let seen = box;
      for (let up = box.parent; up; up = up.parent) if (!this.open.has(up.key)) seen = up;
      return seen;
    }

    // --- places -----------------------------------------------------------------------------

    arrange() {
      this.places = new Map(); // key → {box, x, y, w, h, open}: left, top, width, height
      const inside = this.inside(this.model.root);
      this.bounds = { w: inside.w, h: inside.h };
      this.put(this.model.root, 0, 0, inside);
      this.lines = this.joinLines();
    }

    inside(box) {
      const known = this.cache.get(box.key);
      if (known) return known;
      const sizes = new Map();
      const hints = this.positions[box.path] || null;
      const across = this.model.horizontal;
      const items = box.children.map((child) => {
        const size = this.isOpen(child) ? this.inside(child) : Boxes.sizeOf(child);
        sizes.set(child.key, size);
        const hint = hints && hints[child.isModule ? 'module:' + child.path : child.id];
        const sign = this.drawn.flipped ? -1 : 1;
        const turned = hint ? (this.drawn.horizontal ? { x: hint.y, y: sign * hint.x } : { x: hint.x, y: sign * hint.y }) : null;
        return { key: child.key, w: across ? size.h : size.w, h: across ? size.w : size.h, hint: turned };
      });
      const laid = Layout.layers(items, this.pairs.get(box.key) || [], across ? 96 : 32);
      const made = across || this.model.flipped || this.room.w < 560 ? laid : wrapped(laid, items, this.room.h - 64 * box.depth);
      const outermost = !box.parent;
      const top = outermost ? 0 : HEADER;
      const pad = outermost ? 0 : PAD;
      const along = this.model.flipped ? (y) => made.h - y : (y) => y;
      const turn = across ? ([x, y]) => [along(y) + pad, x + top + pad / 2] : ([x, y]) => [x + pad, along(y) + top];
      const result = { at: new Map(), routes: new Map(), sizes };
      result.w = (across ? made.h : made.w) + 2 * pad;
      result.h = (across ? made.w + pad : made.h) + top + pad;
      const least = outermost ? 0 : 150;
      const shift = result.w < least ? (least - result.w) / 2 : 0;
      result.w += 2 * shift;
      for (const [key, { x, y }] of made.at) {
        const [cx, cy] = turn([x, y]);
        result.at.set(key, { x: cx + shift, y: cy });
      }
      for (const [name, points] of made.routes) result.routes.set(name, points.map(turn).map(([x, y]) => [x + shift, y]));
      this.cache.set(box.key, result);
      return result;
    }

    put(box, x, y, inside) {
      const stack = [[box, x, y, inside]];
      while (stack.length) {
        const [module, left, top, layout] = stack.pop();
        this.places.set(module.key, { box: module, x: left, y: top, w: layout.w, h: layout.h, open: true });
        for (const child of module.children) {
          const at = layout.at.get(child.key);
          const size = layout.sizes.get(child.key);
          const cx = left + at.x - size.w / 2;
          const cy = top + at.y - size.h / 2;
          if (this.isOpen(child)) stack.push([child, cx, cy, this.cache.get(child.key)]);
          else this.places.set(child.key, { box: child, x: cx, y: cy, w: size.w, h: size.h, open: false });
        }
      }
    }

    // --- lines ------------------------------------------------------------------------------

    joinLines() {
      const lines = new Map();
      const seen = new Map();
      const visible = (node) => {
        let box = seen.get(node.key);
        if (!box) seen.set(node.key, (box = this.visible(node)));
        return box;
      };
      for (const edge of this.model.edges) {
        const from = visible(edge.from);
        const to = visible(edge.to);
        if (from === to) continue;
        const key = `${from.key}>${to.key}`;
        const line = lines.get(key);
        if (line) line.edges.push(edge);
        else lines.set(key, { key, from, to, edges: [edge], points: null });
      }
      this.linesAt = new Map();
      for (const line of lines.values()) {
        for (const end of [line.from, line.to]) {
          const list = this.linesAt.get(end.key);
          if (list) list.push(line);
          else this.linesAt.set(end.key, [line]);
        }
      }
      for (const line of lines.values()) line.points = this.route(line);
      this.spread();
      for (const line of lines.values()) line.extent = extent(line.points);
      this.placeLabels(lines);
      return lines;
    }

    /** Where each line's text stands: beside the consumer if there is room, else further up the line, else nowhere. */
    placeLabels(lines) {
      if (lines.size > MANY_LINES) {
        for (const line of lines.values()) {
          const label = Boxes.labelOf(line);
          const [[x0, y0], [x1, y1]] = line.points.slice(-2);
          line.label = label && { ...label, x: (x0 + x1) / 2, y: (y0 + y1) / 2 };
        }
        return;
      }
      const taken = [];
      for (const place of this.places.values()) {
        if (!place.box.parent) continue;
        taken.push(place.open ? { x: place.x, y: place.y, w: Math.min(place.w, 260), h: HEADER } : place);
      }
      const grid = new Map();
      const cells = (r, work) => {
        for (let i = Math.floor(r.x / CELL); i <= Math.floor((r.x + r.w) / CELL); i += 1) for (let j = Math.floor(r.y / CELL); j <= Math.floor((r.y + r.h) / CELL); j += 1) work(`${i} ${j}`);
      };
      const take = (r) => cells(r, (key) => (grid.get(key) || grid.set(key, []).get(key)).push(r));
      const free = (r) => {
        let ok = true;
        cells(r, (key) => { for (const o of grid.get(key) || []) if (r.x < o.x + o.w && o.x < r.x + r.w && r.y < o.y + o.h && o.y < r.y + r.h) ok = false; });
        return ok;
      };
      taken.forEach(take);
      for (const line of lines.values()) {
        const label = Boxes.labelOf(line);
        line.label = null;
        if (!label) continue;
        const p = line.points;
        for (let i = p.length - 1; i > 0 && !line.label; i -= 1) {
          for (const t of [0.5, 0.35, 0.65, 0.2, 0.8]) {
            const s = t * t * (3 - 2 * t); // the curve is steep at its ends
            const x = p[i - 1][0] + s * (p[i][0] - p[i - 1][0]);
            const y = p[i - 1][1] + t * (p[i][1] - p[i - 1][1]);
            const r = { x: x - label.w / 2 - 1, y: y - label.h / 2 - 1, w: label.w + 2, h: label.h + 2 };
            if (!free(r)) continue;
            line.label = { ...label, x, y };
            take(r);
            break;
          }
        }
      }
    }

    /** From the producer's edge through the bends of every box on the way to the consumer's edge. */
    route(line) {
      const start = this.places.get(line.from.key);
      const end = this.places.get(line.to.key);
      const across = this.model.horizontal;
      const up = chain(line.from);
      const down = chain(line.to);
      let common = 0;
      while (up[common] === down[common]) common += 1;
      const side = (place, far) => {
        const share = far === this.model.flipped ? 0 : 1;
        return across ? [place.x + share * place.w, place.y + place.h / 2] : [place.x + place.w / 2, place.y + share * place.h];
      };
      const points = [side(start, true)];
      const follow = (module, name) => {
        const place = this.places.get(module.key);
        for (const [x, y] of this.cache.get(module.key).routes.get(name) || []) points.push([place.x + x, place.y + y]);
      };
      for (let i = up.length - 1; i > common; i -= 1) follow(up[i - 1], `${up[i].key}>${Layout.OUT}`);
      follow(up[common - 1], `${up[common].key}>${down[common].key}`);
      for (let i = common + 1; i < down.length; i += 1) follow(down[i - 1], `${Layout.IN}>${down[i].key}`);
      points.push(side(end, false));
      return points;
    }

    /** Several lines at one side of a box share its width, in the order in which they come. */
    spread() {
      const across = this.model.horizontal ? 1 : 0;
      for (const [key, lines] of this.linesAt) {
        const place = this.places.get(key);
        const width = across ? place.h : place.w;
        const middle = (across ? place.y : place.x) + width / 2;
        for (const incoming of [true, false]) {
          const here = lines.filter((line) => (incoming ? line.to : line.from).key === key);
          if (here.length < 2) continue;
          const end = (line) => (incoming ? line.points.length - 1 : 0);
          // Seen from this box: how the line goes on. Lines through the same bends share one place.
          const course = (line) => (incoming ? line.points.slice(0, -1).reverse() : line.points.slice(1));
          const courses = new Map(here.map((line) => [line, course(line)]));
          here.sort((a, b) => compareCourses(courses.get(a), courses.get(b), across) || firstInput(a) - firstInput(b));
          const slots = [];
          here.forEach((line, i) => {
            const before = i && courses.get(here[i - 1]);
            const mine = courses.get(line);
            const shared = before && mine.length > 1 && before.length > 1 && samePoint(before[0], mine[0]);
            slots.push(i ? slots[i - 1] + (shared ? 0 : 1) : 0);
          });
          const last = slots[slots.length - 1];
          if (!last) continue;
          const gap = Math.min(26, (0.7 * width) / last);
          here.forEach((line, i) => (line.points[end(line)][across] = middle + (slots[i] - last / 2) * gap));
        }
      }
    }
  }

  const MANY_LINES = 1500;
  const CELL = 120;

  /** A module without modules inside that computes up to three values: one box, its parameters docked. */
  function isLayer(box) {
    if (!box.parent || box.cls === 'group' || box.children.some((child) => child.isModule)) return false;
    const made = box.children.filter((child) => !child.record.leaf && child.record.kind !== 'constant');
    return made.length > 0 && made.length < 4;
  }

  /**
   * A long chain cut into columns between its ranks, read like a page; its lines lead through the gutters.
   * @param made as `Layout.layers` gives it; `room`: how high a column may be
   */
  function wrapped(made, items, room) {
    if (made.h <= room || made.h < 1.1 * made.w || items.length < 4) return made;
    const spans = items.map((item) => ({ key: item.key, w: item.w, y0: made.at.get(item.key).y - item.h / 2, y1: made.at.get(item.key).y + item.h / 2 })).sort((a, b) => a.y0 - b.y0);
    const cuts = [];
    let end = spans[0].y1;
    for (const span of spans) {
      if (span.y0 > end + 1) cuts.push((end + span.y0) / 2);
      end = Math.max(end, span.y1);
    }
    const high = Math.max(room - TURN - 14, 200);
    const cutAt = (limit) => {
      const chosen = [];
      let start = 0;
      cuts.forEach((cut, i) => {
        const next = cuts[i + 1] === undefined ? made.h : cuts[i + 1];
        if (next - start <= limit) return;
        chosen.push(cut);
        start = cut;
      });
      return chosen;
    };
    // As few columns as there can be, and those as even as may be.
    let chosen = cutAt(high);
    const fewest = chosen.length;
    for (let limit = high - 20; limit > 200; limit -= 20) {
      const even = cutAt(limit);
      if (even.length > fewest) break;
      chosen = even;
    }
    if (!chosen.length) return made;
    const columnOf = (y) => chosen.filter((cut) => y > cut).length;
    const columns = Array.from({ length: chosen.length + 1 }, () => ({ x0: Infinity, x1: -Infinity, y0: Infinity, y1: -Infinity }));
    for (const span of spans) {
      const column = columns[columnOf(span.y0)];
      const { x } = made.at.get(span.key);
      column.x0 = Math.min(column.x0, x - span.w / 2);
      column.x1 = Math.max(column.x1, x + span.w / 2);
      column.y0 = Math.min(column.y0, span.y0);
      column.y1 = Math.max(column.y1, span.y1);
    }
    for (const points of made.routes.values()) {
      for (const [x, y] of points) {
        const column = columns[columnOf(y)];
        column.x0 = Math.min(column.x0, x - 4);
        column.x1 = Math.max(column.x1, x + 4);
      }
    }
    let left = 0;
    for (const column of columns) {
      column.dx = left - column.x0;
      column.dy = TURN - column.y0;
      left += column.x1 - column.x0 + GUTTER;
      column.gutter = left - GUTTER / 2;
    }
    const h = Math.max(...columns.map((column) => column.y1 + column.dy)) + 14;
    const move = ([x, y]) => [x + columns[columnOf(y)].dx, y + columns[columnOf(y)].dy];
    const at = new Map([...made.at].map(([key, { x, y }]) => {
      const [mx, my] = move([x, y]);
      return [key, { x: mx, y: my }];
    }));
    const lanes = columns.map(() => 0);
    const routes = new Map();
    for (const [name, points] of made.routes) {
      const [from, to] = name.split('>');
      const ends = [made.at.get(from), made.at.get(to)].map((p) => p && [p.x, p.y]);
      const chain = [ends[0], ...points, ends[1]];
      const out = [];
      let before = null;
      chain.forEach((p, i) => {
        if (!p) return;
        if (before) {
          let c = columnOf(before[1]);
          let x = before[0] + columns[c].dx;
          for (; c < columnOf(p[1]); c += 1) {
            const lane = columns[c].gutter + 7 * (((lanes[c] += 1) % 5) - 2);
            const foot = columns[c].y1 + columns[c].dy + 9;
            const nextX = p[0] + columns[c + 1].dx;
            out.push([x, foot], [lane, foot], [lane, 4], [nextX, 4]);
            x = nextX;
          }
        }
        if (i > 0 && i < chain.length - 1) out.push(move(p));
        before = p;
      });
      routes.set(name, out);
    }
    return { w: left - GUTTER, h, at, routes };
  }

  function samePoint(a, b) {
    return a[0] === b[0] && a[1] === b[1];
  }

  /** Which of two courses lies further to the left, where they first part. */
  function compareCourses(a, b, across) {
    for (let i = 0; i < Math.min(a.length, b.length); i += 1) {
      const off = a[i][across] - b[i][across];
      if (Math.abs(off) > 0.01) return off;
    }
    return 0;
  }

  function firstInput(line) {
    return line.edges[0].index;
  }

  /** The boxes from the outermost down to `box`. */
  function chain(box) {
    const path = [box];
    for (let up = box.parent; up; up = up.parent) path.unshift(up);
    return path;
  }

  /** For each module, the pairs of boxes directly in it that some line joins, and the lines in and out. */
  function collectPairs(model) {
    const found = new Map(model.containers.map((box) => [box.key, new Map()]));
    const note = (module, from, to) => found.get(module.key).set(`${from}>${to}`, [from, to]);
    const chains = new Map();
    const chainOf = (node) => {
      let path = chains.get(node.parent.key);
      if (!path) chains.set(node.parent.key, (path = chain(node.parent)));
      return path;
    };
    for (const edge of model.edges) {
      const up = [...chainOf(edge.from), edge.from];
      const down = [...chainOf(edge.to), edge.to];
      let common = 0;
      while (common < up.length && up[common] === down[common]) common += 1;
      if (common === up.length) continue;
      for (let i = up.length - 1; i > common; i -= 1) note(up[i - 1], up[i].key, Layout.OUT);
      note(up[common - 1], up[common].key, down[common].key);
      for (let i = common + 1; i < down.length; i += 1) note(down[i - 1], Layout.IN, down[i].key);
    }
    return new Map([...found].map(([key, pairs]) => [key, [...pairs.values()]]));
  }

  function extent(points) {
    const box = { x0: Infinity, y0: Infinity, x1: -Infinity, y1: -Infinity };
    for (const [x, y] of points) {
      box.x0 = Math.min(box.x0, x);
      box.y0 = Math.min(box.y0, y);
      box.x1 = Math.max(box.x1, x);
      box.y1 = Math.max(box.y1, y);
    }
    return box;
  }

  return { Scene };
})();
