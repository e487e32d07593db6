/* The inside of one box laid out in layers: boxes on ranks, lines that pass ranks led around the boxes there.
 *
 * Pure: sizes and pairs in, coordinates out; knows no graph and no page. The main axis ("y" here) is the
 * direction of the forward pass; the caller swaps the axes for left-to-right drawings. Lines that enter or
 * leave the box are pairs with the port `IN` or `OUT`. Where Graphviz gave positions, they decide which rank
 * a box lies on and its place there, and only the exact coordinates are worked out again, since a box that
 * opens needs more room. The method is Sugiyama's: layers, order by barycentres, coordinates.
 */
'use strict';

const Layout = (() => {
  const IN = '(in)';
  const OUT = '(out)';
  const GAP_ACROSS = 28;
  const GAP_ALONG = 46;
  const LINE = 14; // room across that a passing line takes
  const MAX_BENDS = 20000; // in all; lines beyond that go straight

  /**
   * @param items [{key, w, h, hint: {x, y} | null}] in forward order
   * @param pairs [[from, to]] of keys, IN and OUT among them, without repetitions
   * @param along room between ranks
   * @returns {w, h, at: Map key → {x, y} (centres), routes: Map "from>to" → [[x, y], …]}
   */
  function layers(items, pairs, along = GAP_ALONG) {
    const cells = new Map(items.map((item, i) => [item.key, { ...item, i, rank: 0, x: 0, up: [], down: [] }]));
    const order = forwardOrder(items, pairs);
    const inner = [];
    for (const [from, to] of pairs) {
      if (from === IN || to === OUT || from === to) continue;
      // A line against the order (a module called twice) is drawn backwards and does not decide ranks.
      inner.push(order.get(from) < order.get(to) ? [from, to] : [to, from]);
    }
    if (!ranksFromHints(cells, inner)) assignRanks(items, cells, inner, order);
    const ranks = fillRanks(items, cells);
    const chains = threadLines(cells, ranks, pairs);
    placeInOrder(ranks);
    assignAcross(ranks);
    return coordinates(items, cells, ranks, chains, along);
  }

  /** Kahn's topological order; in a cycle, the earliest remaining box goes first. Key → place. */
  function forwardOrder(items, pairs) {
    const after = new Map(items.map((item) => [item.key, []]));
    const waiting = new Map(items.map((item) => [item.key, 0]));
    for (const [from, to] of pairs) {
      if (from === IN || to === OUT || from === to) continue;
      after.get(from).push(to);
      waiting.set(to, waiting.get(to) + 1);
    }
    const place = new Map();
    const ready = items.filter((item) => waiting.get(item.key) === 0).map((item) => item.key).reverse();
    let scan = 0;
    while (place.size < items.length) {
      if (!ready.length) {
        while (place.has(items[scan].key)) scan += 1;
        ready.push(items[scan].key);
      }
      const key = ready.pop();
      if (place.has(key)) continue;
      place.set(key, place.size);
      for (const next of after.get(key)) {
        waiting.set(next, waiting.get(next) - 1);
        if (waiting.get(next) === 0 && !place.has(next)) ready.push(next);
      }
    }
    return place;
  }

  /** Ranks as Graphviz drew them: boxes with the same centre. False when a line would not go forwards. */
  function ranksFromHints(cells, inner) {
    const all = [...cells.values()];
    if (!all.length || !all.every((cell) => cell.hint)) return false;
    const sorted = all.slice().sort((a, b) => a.hint.y - b.hint.y);
    let rank = 0;
    sorted.forEach((cell, i) => {
      if (i && cell.hint.y - sorted[i - 1].hint.y > 4) rank += 1;
      cell.rank = rank;
      cell.x = cell.hint.x;
    });
    return inner.every(([from, to]) => cells.get(from).rank < cells.get(to).rank);
  }

  /** Longest path from the sources; then what has no input moves down beside its first consumer. */
  function assignRanks(items, cells, inner, order) {
    const outs = new Map(items.map((item) => [item.key, []]));
    const hasInput = new Set();
    for (const [from, to] of inner) {
      outs.get(from).push(to);
      hasInput.add(to);
    }
    for (const cell of cells.values()) cell.rank = 0;
    const sorted = items.map((item) => item.key).sort((a, b) => order.get(a) - order.get(b));
    for (const key of sorted) {
      for (const next of outs.get(key)) cells.get(next).rank = Math.max(cells.get(next).rank, cells.get(key).rank + 1);
    }
    for (const key of sorted.reverse()) {
      if (hasInput.has(key) || !outs.get(key).length) continue;
      cells.get(key).rank = Math.min(...outs.get(key).map((next) => cells.get(next).rank)) - 1;
    }
  }

  /** Ranks as lists, shifted so that rank 0 and the last one hold only the ports of lines in and out. */
  function fillRanks(items, cells) {
    let top = 0;
    for (const cell of cells.values()) top = Math.max(top, cell.rank);
    const ranks = Array.from({ length: top + 3 }, () => []);
    for (const item of items) {
      const cell = cells.get(item.key);
      cell.rank += 1;
      ranks[cell.rank].push(cell);
    }
    return ranks;
  }

  /** Links neighbours on the ranks; a line that passes a rank gets a bend there. "from>to" → bends, top down. */
  function threadLines(cells, ranks, pairs) {
    const chains = new Map();
    const last = ranks.length - 1;
    const fed = new Set(pairs.map(([, to]) => to));
    let budget = MAX_BENDS;
    for (const [from, to] of pairs) {
      if (from === to) continue;
      // The data's main way is to be straight: parameters stand beside it, connections around lead around it.
      const border = from === IN || to === OUT;
      const pull = border ? 4 : !fed.has(from) ? 0.8 : 8;
      const source = from === IN ? port(ranks, 0, cells.get(to)) : cells.get(from);
      const target = to === OUT ? port(ranks, last, cells.get(from)) : cells.get(to);
      const [high, low] = source.rank <= target.rank ? [source, target] : [target, source];
      const bends = [];
      if (low.rank - high.rank - 1 <= Math.min(budget, 400)) {
        let above = high;
        for (let rank = high.rank + 1; rank < low.rank; rank += 1) {
          // Before anything is sorted, a bend lies between the two ends of its line.
          const share = (rank - high.rank) / (low.rank - high.rank);
          const bend = { bend: true, w: LINE, h: 0, rank, x: high.x + share * (low.x - high.x), up: [], down: [] };
          ranks[rank].push(bend);
          link(above, bend, above.bend ? 4 : border ? pull : 0.4);
          bends.push(bend);
          above = bend;
        }
        link(above, low, above.bend && low.bend ? 4 : bends.length && !border ? 0.4 : pull);
        budget -= bends.length;
      }
      const ends = [from === IN ? [source] : [], to === OUT ? [target] : []];
      const through = source === high ? bends : bends.slice().reverse();
      chains.set(`${from}>${to}`, [...ends[0], ...through, ...ends[1]]);
    }
    return chains;
  }

  function port(ranks, rank, beside) {
    const made = { bend: true, w: LINE, h: 0, rank, x: beside.x, up: [], down: [] };
    ranks[rank].push(made);
    return made;
  }

  function link(above, below, weight) {
    above.down.push([below, weight]);
    below.up.push([above, weight]);
  }

  /** Order on the ranks: repeated sorting by the mean place of the neighbours above, then below. */
  function placeInOrder(ranks) {
    const number = () => ranks.forEach((rank) => rank.forEach((cell, i) => (cell.place = i)));
    if (ranks.some((rank) => rank.some((cell) => cell.hint))) {
      ranks.forEach((rank) => rank.sort((a, b) => a.x - b.x));
      number();
      return;
    }
    number();
    for (let sweep = 0; sweep < 8; sweep += 1) {
      const down = sweep % 2 === 0;
      for (const rank of down ? ranks : ranks.slice().reverse()) {
        for (const cell of rank) {
          const near = down ? cell.up : cell.down;
          let sum = 0;
          for (const [other] of near) sum += other.place / Math.max(1, ranks[other.rank].length - 1);
          cell.bary = near.length ? sum / near.length : cell.place / Math.max(1, rank.length - 1);
        }
        rank.sort((a, b) => a.bary - b.bary || a.place - b.place);
        rank.forEach((cell, i) => (cell.place = i));
      }
    }
  }

  /** Places across: each rank in turn as near as possible to the mean of its neighbours, without overlap. */
  function assignAcross(ranks) {
    for (const rank of ranks) {
      let x = 0;
      for (const cell of rank) {
        cell.x = x + cell.w / 2;
        x += cell.w + GAP_ACROSS;
      }
      for (const cell of rank) cell.x -= (x - GAP_ACROSS) / 2;
    }
    for (let sweep = 0; sweep < 12; sweep += 1) {
      const down = sweep % 2 === 0;
      for (const rank of down ? ranks : ranks.slice().reverse()) {
        const wanted = rank.map((cell) => {
          const near = sweep >= 10 ? cell.up.concat(cell.down) : down ? cell.up : cell.down;
          let sum = 0;
          let weight = 0;
          for (const [other, w] of near) {
            sum += w * other.x;
            weight += w;
          }
          // Where there is no room for both, lines give way to boxes.
          return weight ? { x: sum / weight, weight: cell.bend ? weight : 4 * weight } : { x: cell.x, weight: 0.1 };
        });
        separate(rank, wanted);
      }
    }
  }

  /**
   * The least movement (weighted least squares) from the wanted places that keeps neighbours apart: isotonic
   * regression by pooling adjacent violators, linear in the number of boxes.
   */
  function separate(rank, wanted) {
    const pools = [];
    let offset = 0;
    rank.forEach((cell, i) => {
      if (i) offset += (rank[i - 1].w + cell.w) / 2 + gap(rank[i - 1], cell);
      pools.push({ sum: (wanted[i].x - offset) * wanted[i].weight, weight: wanted[i].weight, offsets: [offset] });
      while (pools.length > 1) {
        const b = pools[pools.length - 1];
        const a = pools[pools.length - 2];
        if (a.sum / a.weight <= b.sum / b.weight) break;
        a.sum += b.sum;
        a.weight += b.weight;
        for (const o of b.offsets) a.offsets.push(o);
        pools.pop();
      }
    });
    let i = 0;
    for (const pool of pools) {
      for (const o of pool.offsets) {
        rank[i].x = pool.sum / pool.weight + o;
        i += 1;
      }
    }
  }

  function gap(a, b) {
    return a.bend && b.bend ? 4 : a.bend || b.bend ? GAP_ACROSS / 2 : GAP_ACROSS;
  }

  function coordinates(items, cells, ranks, chains, along) {
    let left = Infinity;
    let right = -Infinity;
    for (const rank of ranks) {
      for (const cell of rank) {
        left = Math.min(left, cell.x - cell.w / 2);
        right = Math.max(right, cell.x + cell.w / 2);
      }
    }
    if (left > right) left = right = 0;
    const tops = [];
    let y = 0;
    ranks.forEach((rank, r) => {
      const h = rank.reduce((most, cell) => Math.max(most, cell.h), 0);
      // Ports take a line of their own only where there are any.
      const border = r === 0 || r === ranks.length - 1;
      tops.push({ y, h });
      y += h + (r === ranks.length - 1 ? 0 : border || r === ranks.length - 2 ? (needsPorts(ranks) ? 18 : 0) : along);
    });
    const at = new Map();
    for (const item of items) {
      const cell = cells.get(item.key);
      at.set(item.key, { x: cell.x - left, y: tops[cell.rank].y + tops[cell.rank].h / 2 });
    }
    const routes = new Map();
    for (const [name, chain] of chains) {
      const points = [];
      for (const bend of chain) {
        const { y: top, h } = tops[bend.rank];
        const x = bend.x - left;
        const backwards = chain.length > 1 && chain[0].rank > chain[chain.length - 1].rank;
        if (h > 0) points.push(...(backwards ? [[x, top + h], [x, top]] : [[x, top], [x, top + h]]));
        else points.push([x, top]);
      }
      routes.set(name, points);
    }
    return { w: right - left, h: y, at, routes };
  }

  function needsPorts(ranks) {
    return ranks[0].length > 0 || ranks[ranks.length - 1].length > 0;
  }

  return { layers, IN, OUT };
})();
