/* Click a number: an entry of a gradient as the sum it is, and what an entry of a value was computed from.
 *
 * Reads the `sums` of the description's edges: for small arrays all entries with all their terms, for larger ones some.
 * The panel puts these parts under a node's gradient and value. Arrow keys and the pointer move over the entries.
 */
'use strict';

const Sums = (() => {
  const SHOWN = 9; // terms written out; the rest is added up
  const WINDOW = 8; // sides of the windows that are drawn
  const ROOM = 330;

  /** Row-major index of a flat place. */
  function indexOf(flat, shape) {
    const at = [];
    for (let d = shape.length - 1; d >= 0; d -= 1) {
      at.unshift(flat % shape[d]);
      flat = Math.floor(flat / shape[d]);
    }
    return at;
  }

  function at(name, flat, shape) {
    return shape.length ? `${name}[${indexOf(flat, shape).join(', ')}]` : name;
  }

  /** Whether the map below shows every entry of a node's gradient. */
  function covers(box) {
    const edges = box.outs.filter((edge) => edge.record.contribution);
    return edges.length > 0 && edges.every((edge) => edge.record.sums && edge.record.sums.complete);
  }

  /** The gradient's part: a map of the entries, and the sums of the one that is pointed at. */
  function gradient(box, jump) {
    const edges = box.outs.filter((edge) => edge.record.sums && edge.record.contribution);
    if (!edges.length) return null;
    const whole = covers(box);
    const shape = edges[0].record.sums.input_shape;
    const readout = Dom.el('div', { class: 'sum-cards', 'aria-live': 'polite' });
    const known = new Map(edges.map((edge) => [edge, new Map(edge.record.sums.entries.map((entry) => [entry[0], entry]))]));
    const tell = (k) => readout.replaceChildren(...edges.filter((edge) => known.get(edge).has(k)).map((edge) => card(box, edge, known.get(edge).get(k), jump)));
    const places = edges[0].record.sums.entries.map((entry) => entry[0]);
    const total = new Map();
    for (const edge of edges) for (const [k, value] of edge.record.sums.entries) total.set(k, (total.get(k) || 0) + Format.toNumber(value));
    const title = 'Click a number';
    const first = whole ? places.reduce((a, b) => (Math.abs(total.get(b)) > Math.abs(total.get(a)) ? b : a)) : places[0];
    tell(first);
    const chooser = whole
      ? map(shape, total, first, `Entries of the gradient of ${Format.clip(box.label, 40)}: arrow keys show the sum of each`, tell)
      : Dom.el('div', { class: 'entry-buttons', role: 'group', 'aria-label': 'Entries of the gradient' }, places.map((k) =>
        Dom.el('button', { class: 'button', type: 'button', on: { click: () => tell(k) }, text: `${at('', k, shape)} ${Format.number(total.get(k), 3)}` })));
    return Dom.el('section', { class: 'panel-section sums', id: 'sums' }, Dom.el('h3', { text: `${title}: an entry of the gradient is a sum` }), chooser, readout);
  }

  /** The value's part: which entries of the inputs an entry was computed from. */
  function value(box) {
    const edges = box.ins.filter((edge) => edge.record.sums && edge.record.sums.complete && edge.record.sums.output_shape.length);
    if (!edges.length) return null;
    const shape = edges[0].record.sums.output_shape;
    const size = shape.reduce((a, b) => a * b, 1);
    const reads = edges.map((edge) => {
      const found = Array.from({ length: size }, () => []);
      for (const [k, , terms] of edge.record.sums.entries) for (const [out, , local] of terms) found[out].push([k, local]);
      return found;
    });
    const numbers = flatten(box.record.value && box.record.value.data);
    const readout = Dom.el('div', { class: 'sum-cards', 'aria-live': 'polite' });
    const tell = (k) => readout.replaceChildren(
      Dom.el('p', { class: 'mono', text: `${at(Format.clip(box.label, 24), k, shape)}${numbers ? ` = ${Format.number(numbers[k])}` : ''} was computed from` }),
      ...edges.map((edge, i) => window(edge, reads[i][k])));
    const shown = new Map(Array.from({ length: size }, (_, k) => [k, numbers ? Format.toNumber(numbers[k]) : 0]));
    const first = Math.floor(size / 2);
    tell(first);
    return Dom.el('section', { class: 'panel-section sums' }, Dom.el('h3', { text: 'What an entry of the value sees' }),
      map(shape, shown, first, `Entries of the value of ${Format.clip(box.label, 40)}: arrow keys show what each was computed from`, tell), readout);
  }

  function flatten(data) {
    return data ? (Array.isArray(data) ? data.flat(Infinity) : [data]) : null;
  }

  /** The entries of an input that one output saw, lit in a map of the input. */
  function window(edge, seen) {
    const shape = edge.record.sums.input_shape;
    const lit = new Map(seen);
    const name = Format.clip(edge.from.label, 24);
    const words = seen.length === 1 ? at(name, seen[0][0], shape) : `${Format.plural(seen.length, 'entry').replace('entrys', 'entries')} of ${name}`;
    return Dom.el('div', { class: 'sum-card' }, Dom.el('p', { class: 'mono' }, words, Dom.el('span', { class: 'quiet', text: '; the colour is ∂y/∂x' })), picture(shape, lit, 150));
  }

  /** Entries as coloured cells, the last two dimensions as tiles. `values`: flat place → number; others stay empty. */
  function plan(shape, room) {
    const cols = shape.length ? shape[shape.length - 1] : 1;
    const rows = shape.length > 1 ? shape[shape.length - 2] : 1;
    const tiles = shape.slice(0, -2).reduce((a, b) => a * b, 1);
    const across = Math.max(1, Math.min(tiles, Math.floor((room + 4) / (cols * 7 + 4))));
    const cell = Math.max(3, Math.min(22, Math.floor((room - 4 * (across - 1)) / (across * cols))));
    const down = Math.ceil(tiles / across);
    return {
      rows, cols, tiles, across, cell, w: across * (cols * cell + 4) - 4, h: down * (rows * cell + 4) - 4,
      corner: (k) => {
        const tile = Math.floor(k / (rows * cols));
        const inner = k % (rows * cols);
        return [(tile % across) * (cols * cell + 4) + (inner % cols) * cell, Math.floor(tile / across) * (rows * cell + 4) + Math.floor(inner / cols) * cell];
      },
    };
  }

  function paint(canvas, layout, values, chosen) {
    const pen = canvas.getContext('2d');
    const colours = Colours.table('signed');
    const largest = Math.max(...[...values.values()].map(Math.abs).filter(Number.isFinite), 1e-300);
    pen.clearRect(0, 0, layout.w, layout.h);
    const size = layout.rows * layout.cols * layout.tiles;
    for (let k = 0; k < size; k += 1) {
      const [x, y] = layout.corner(k);
      const v = values.get(k);
      const rgb = v === undefined ? Colours.none() : Number.isFinite(v) ? colours[Math.round(255 * (v / largest + 1) / 2)] : [200, 20, 30];
      pen.fillStyle = `rgb(${rgb.join(' ')} / ${v === undefined ? 0.45 : 1})`;
      pen.fillRect(x, y, layout.cell - (layout.cell > 5 ? 1 : 0), layout.cell - (layout.cell > 5 ? 1 : 0));
    }
    if (chosen === null) return;
    const [x, y] = layout.corner(chosen);
    pen.strokeStyle = getComputedStyle(document.documentElement).getPropertyValue('--focus');
    pen.lineWidth = 2;
    pen.strokeRect(x, y, layout.cell, layout.cell);
  }

  function picture(shape, values, room) {
    const layout = plan(shape, room);
    const canvas = Dom.el('canvas', { class: 'number-map', width: layout.w, height: layout.h, 'aria-hidden': 'true' });
    paint(canvas, layout, values, null);
    return canvas;
  }

  function map(shape, values, first, what, tell) {
    const layout = plan(shape, ROOM);
    const size = layout.rows * layout.cols * layout.tiles;
    const canvas = Dom.el('canvas', { class: 'number-map', width: layout.w, height: layout.h, tabindex: 0, role: 'img', 'aria-label': what });
    let chosen = first;
    const go = (k) => {
      if (k === chosen || k < 0 || k >= size) return;
      chosen = k;
      paint(canvas, layout, values, chosen);
      tell(k);
    };
    canvas.addEventListener('pointermove', (event) => {
      const r = canvas.getBoundingClientRect();
      const x = ((event.clientX - r.left) / r.width) * layout.w;
      const y = ((event.clientY - r.top) / r.height) * layout.h;
      const tile = Math.floor(y / (layout.rows * layout.cell + 4)) * layout.across + Math.min(layout.across - 1, Math.floor(x / (layout.cols * layout.cell + 4)));
      if (tile >= layout.tiles) return;
      const [left, top] = layout.corner(tile * layout.rows * layout.cols);
      const row = Math.min(layout.rows - 1, Math.floor((y - top) / layout.cell));
      const col = Math.min(layout.cols - 1, Math.floor((x - left) / layout.cell));
      go((tile * layout.rows + row) * layout.cols + col);
    });
    canvas.addEventListener('keydown', (event) => {
      const by = { ArrowUp: -layout.cols, ArrowDown: layout.cols, ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!by) return;
      event.preventDefault();
      event.stopPropagation();
      go(chosen + by);
    });
    paint(canvas, layout, values, chosen);
    return canvas;
  }

  /** ∂L/∂x[…] through one consumer: the windows laid over each other, and the sum under them. */
  function card(box, edge, [k, number, terms, rest, restSum], jump) {
    const sums = edge.record.sums;
    const head = Dom.el('p', {}, Dom.el('code', { text: at(`∂L/∂${Format.clip(box.label, 20)}`, k, sums.input_shape) }), ' through ',
      Dom.el('button', { class: 'link', type: 'button', on: { click: () => jump(edge.to) } }, Dom.name(Format.clip(edge.to.label, 30))));
    if (!terms.length) return Dom.el('div', { class: 'sum-card' }, head, Dom.el('p', { class: 'quiet', text: '0: no output that a gradient reaches depends on this entry.' }));
    const shown = terms.slice(0, SHOWN);
    const left = terms.slice(SHOWN);
    const more = rest + left.length;
    const moreSum = Format.toNumber(restSum) + left.reduce((sum, [, u, l]) => sum + Format.toNumber(u) * Format.toNumber(l), 0);
    const sum = shown.map(([, u, l]) => `${bracket(u)}·${bracket(l)}`).join(' + ') + (more ? ` + … (${more} more: ${Format.number(moreSum, 3)})` : '');
    const rows = shown.map(([out, u, l, other]) => Dom.el('tr', {},
      Dom.el('td', { text: at('∂L/∂y', out, sums.output_shape) }),
      Dom.el('td', { text: other === undefined ? '∂y/∂x' : at(sums.whose, other, sums.other_shape) }),
      Dom.el('td', { class: 'right', text: `${Format.number(u, 3)} · ${bracket(l)}` }),
      Dom.el('td', { class: 'right', text: `= ${Format.number(Format.toNumber(u) * Format.toNumber(l), 3)}` })));
    return Dom.el('div', { class: 'sum-card' }, head, windows(terms, sums),
      Dom.el('p', { class: 'sum-line' }, `${sum} = `, Dom.el('strong', { class: 'sum-total', text: Format.number(number) })),
      Dom.el('details', {}, Dom.el('summary', { text: 'term by term' }),
        Dom.el('table', { class: 'terms' }, Dom.el('tbody', {}, rows))));
  }

  function bracket(x) {
    const text = Format.number(x, 3);
    return text.startsWith('−') ? `(${text})` : text;
  }

  /** Upstream and local gradients over the part of the output that counts: a kernel laid on its window, a row on a column. */
  function windows(terms, sums) {
    const shape = sums.output_shape;
    if (!shape.length || terms.length < 2) return null;
    const placed = terms.map(([out, u, l]) => ({ at: indexOf(out, shape), u, l }));
    const plane = (p) => p.at.slice(0, -2).join(', ');
    const key = plane(placed[0]);
    const here = placed.filter((p) => plane(p) === key).map((p) => ({ ...p, row: shape.length > 1 ? p.at[p.at.length - 2] : 0, col: p.at[p.at.length - 1] }));
    const span = (field) => [Math.min(...here.map((p) => p[field])), Math.max(...here.map((p) => p[field]))];
    const [r0, r1] = span('row');
    const [c0, c1] = span('col');
    if (r1 - r0 >= WINDOW || c1 - c0 >= WINDOW) return null;
    const found = new Map(here.map((p) => [`${p.row} ${p.col}`, p]));
    const table = (field, kind, title) => Dom.el('figure', { class: `window ${kind}` },
      Dom.el('figcaption', { text: title }),
      Dom.el('table', {}, Dom.el('tbody', {}, Array.from({ length: r1 - r0 + 1 }, (_, r) => Dom.el('tr', {}, Array.from({ length: c1 - c0 + 1 }, (_x, c) => {
        const p = found.get(`${r0 + r} ${c0 + c}`);
        return Dom.el('td', { text: p ? Format.number(p[field], 2) : '·' });
      }))))));
    const others = new Set(placed.map(plane)).size - 1;
    return Dom.el('div', { class: 'windows' },
      table('u', 'upstream', `upstream ${key ? `[${key}]` : ''}`), Dom.el('span', { class: 'times', text: '⊙', 'aria-label': 'times, entry by entry,' }),
      table('l', 'local', sums.whose ? `${sums.whose}, as it lies` : 'local'), others ? Dom.el('p', { class: 'quiet', text: `and ${Format.plural(others, 'more plane')}` }) : null);
  }

  return { covers, gradient, value };
})();
