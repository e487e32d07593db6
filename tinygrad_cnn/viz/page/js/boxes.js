/* The drawing of one box and of one line as SVG. Makes elements and sets their state; places nothing itself.
 *
 * A box carries a name, a shape and two cells: what flowed forward (value) and what flowed back (gradient).
 */
'use strict';

const Boxes = (() => {
  const pen = document.createElement('canvas').getContext('2d');
  const widths = new Map();

  /** `text` shortened to `room` pixels in a font of the page. */
  function fit(text, room, font) {
    const flat = Format.clip(text.replace(/\s+/g, ' '), 80);
    const key = `${font}|${room}|${flat}`;
    if (!widths.has(key)) {
      if (widths.size > 20000) widths.clear();
      pen.font = font;
      let kept = flat;
      if (pen.measureText(kept).width > room) {
        const letters = Array.from(flat);
        let low = 0;
        let high = letters.length;
        while (low < high) {
          const half = (low + high + 1) >> 1;
          if (pen.measureText(`${letters.slice(0, half).join('')}…`).width <= room) low = half;
          else high = half - 1;
        }
        kept = `${letters.slice(0, low).join('')}…`;
      }
      widths.set(key, kept);
    }
    return widths.get(key);
  }

  const TITLE = '600 13px system-ui, sans-serif';
  const SMALL = '11px ui-monospace, "DejaVu Sans Mono", monospace';

  /** Room for name and shape side by side, within limits; in steps, so that columns stay calm. */
  function sizeOf(box) {
    if (box.isModule) return { w: 196, h: 66 };
    const title = textWidth(Format.clip(shortName(box), 40), TITLE) + opWidth(box);
    const shape = textWidth(Format.clip(shapeOf(box.record), 24), SMALL);
    return { w: Math.max(192, Math.min(256, 16 * Math.ceil((44 + title + shape) / 16))), h: 66 };
  }

  /** What made a value that has a name of its own. */
  function opOf(r) {
    return r.name && !r.leaf && r.op !== 'constant' && r.op !== r.name ? r.op : '';
  }

  function opWidth(box) {
    const op = opOf(box.record);
    return op ? 7 + textWidth(Format.clip(op, 16), SMALL) : 0;
  }

  /** Of a number that its op did not keep, nobody knows the shape. */
  function shapeOf(r) {
    return r.kept === false && !(r.shape && r.shape.length) ? '' : Format.shape(r.shape);
  }

  function role(node) {
    const r = node.record;
    if (r.loss) return 'loss';
    if (r.parameter) return 'parameter';
    if (r.op === 'constant') return 'constant';
    if (r.leaf || r.input) return 'input';
    return r.kind || 'general';
  }

  /** A node's group element; `update` fills in what changes. */
  function node(place) {
    const { box, w, h } = place;
    const r = box.record;
    const g = group(place, `box node kind-${role(box).replace(/[^a-z]/g, '')}`);
    const shape = shapeOf(r);
    const shapeText = fit(shape, 0.5 * w, SMALL);
    const room = w - 42 - textWidth(shapeText, SMALL);
    const title = fit(shortName(box), room, TITLE);
    const left = room - textWidth(title, TITLE) - 7;
    g.append(...[
      body(place, w, h, 9),
      Dom.svg('path', { class: 'stripe', d: `M9 0 H7 A7 7 0 0 0 0 7 V${h - 7} A7 7 0 0 0 7 ${h} H9 Z` }),
      label({ class: 'title', x: 18, y: 22, text: title }),
      opOf(r) && left > 18 ? label({ class: 'op', x: 25 + textWidth(title, TITLE), y: 22, text: fit(opOf(r), left, SMALL) }) : null,
      label({ class: 'shape', x: w - 10, y: 22, 'text-anchor': 'end', text: shapeText }),
    ].filter(Boolean));
    cells(g, w, h, r.kept === false ? 'not kept' : written(r.value, (w - 26) / 2));
    if (r.alarm) {
      const mark = Dom.svg('g', { class: 'alarm', transform: `translate(${w - 26},-9)` });
      mark.append(
        Dom.svg('rect', { width: 34, height: 18, rx: 9 }),
        label({ x: 17, y: 13, 'text-anchor': 'middle', text: r.alarm.toUpperCase().slice(0, 3) }),
      );
      g.append(mark);
    }
    if (r.change) g.append(changeMark(r.change));
    return g;
  }

  /** Inside its module, a parameter needs no module path before its name. */
  function shortName(box) {
    const parts = (box.record.module || '').split('.');
    for (let k = 0; k < parts.length; k += 1) {
      const prefix = `${parts.slice(k).join('.')}.`;
      if (box.label.startsWith(prefix) && box.label.length > prefix.length) return box.label.slice(prefix.length);
    }
    return box.label;
  }

  function changeMark(change) {
    const sign = { added: '+', removed: '−', changed: '≠' }[change];
    if (!sign) return Dom.svg('g');
    return Dom.svg('g', { class: `change change-${change}`, transform: 'translate(-8,-8)' },
      Dom.svg('circle', { cx: 9, cy: 9, r: 9 }),
      label({ x: 9, y: 13.5, 'text-anchor': 'middle', text: sign }));
  }

  /** A small array as its numbers where they fit, else the norm. */
  function written(summary, room) {
    const rows = Format.entries(summary);
    return rows && rows.length === 1 && textWidth(rows[0], SMALL) <= room - 6 ? rows[0] : Format.brief(summary);
  }

  function cells(g, w, h, value) {
    const half = (w - 26) / 2;
    const y = h - 31;
    g.append(
      Dom.svg('rect', { class: 'cell-value', x: 16, y, width: half, height: 22, rx: 5 }),
      Dom.svg('rect', { class: 'cell-gradient', x: 20 + half, y, width: half, height: 22, rx: 5 }),
      label({ class: 'number value', x: 16 + half / 2, y: y + 15, 'text-anchor': 'middle', text: fit(value, half - 6, SMALL) }),
      label({ class: 'number gradient', x: 20 + 1.5 * half, y: y + 15, 'text-anchor': 'middle', text: '' }),
    );
  }

  /** A closed module: a stack of cards with its name, what it is, and how far the backward pass is in it. */
  function closed(place) {
    const { box, w, h } = place;
    const g = group(place, `box module closed${box.cls === 'group' || box.cls === 'calls' ? ' made-up' : ''}`);
    g.append(
      Dom.svg('rect', { class: 'card back', x: 7, y: 7, width: w - 7, height: h - 7, rx: 9 }),
      Dom.svg('rect', { class: 'card back', x: 3.5, y: 3.5, width: w - 7, height: h - 7, rx: 9 }),
      body(place, w - 7, h - 7, 9),
      toggle(box, 6, 6, false),
      ...closedTexts(box, w),
      box.cls === 'calls' ? spark(box, w, h) : Dom.svg('rect', { class: 'progress-track', x: 14, y: h - 16, width: w - 35, height: 5, rx: 2.5 }),
      Dom.svg('rect', { class: 'progress', x: 14, y: h - 16, width: 0, height: 5, rx: 2.5 }),
    );
    // A connection around the inside (a residual block's) is seen without opening the block.
    if (Model.facts(box).around) g.append(Dom.svg('path', { class: 'skip-arc', d: `M${w / 2 + 8} -9 C${w + 34} -13 ${w + 34} ${h + 13} ${w / 2 + 8} ${h + 7}` }));
    return g;
  }

  /** A bar for each call: how large the gradient at its result is, on a logarithmic scale of their own. */
  function spark(box, w, h) {
    const sizes = Model.overCalls(box);
    const scale = Colours.sizeScale(sizes);
    const step = (w - 35) / sizes.length;
    return Dom.svg('g', { class: 'spark' }, sizes.map((size, t) => {
      const share = scale.share(size);
      const tall = share === null ? 1 : 2 + 12 * share;
      return Dom.svg('rect', { x: (14 + t * step).toFixed(1), y: (h - 10 - tall).toFixed(1), width: Math.max(step - 1, 0.5).toFixed(1), height: tall.toFixed(1) });
    }));
  }

  /** Name and class; shape of the output and number of parameters. */
  function closedTexts(box, w) {
    const room = w - 52;
    const title = fit(box.name, room, TITLE);
    const left = room - textWidth(title, TITLE) - 8;
    const { shape } = Model.facts(box);
    const count = box.record.parameters;
    const told = [shape && shape.length ? Format.shape(shape) : '', count ? `${Format.short(count)} par.` : ''].filter(Boolean).join(' · ') || moduleText(box);
    return [
      label({ class: 'title', x: 34, y: 23, text: title }),
      left > 24 && box.cls !== 'group' && box.cls !== 'calls' && box.cls !== box.name ? label({ class: 'op', x: 42 + textWidth(title, TITLE), y: 23, text: fit(box.cls, left, SMALL) }) : null,
      label({ class: 'shape', x: 14, y: 41, text: fit(told, w - 34, SMALL) }),
    ].filter(Boolean);
  }

  function moduleText(box) {
    const what = box.cls && box.cls !== 'group' && box.cls !== 'calls' ? `${box.cls} · ` : '';
    return `${what}${Format.plural(box.size, 'node')}`;
  }

  /** The frame of an open module, drawn behind its inside; its head lies above the lines that enter there. */
  function frame(place) {
    const { box, w, h } = place;
    const g = group(place, `box module open${box.cls === 'group' ? ' made-up' : ''} level-${box.depth % 2}`);
    g.append(body(place, w, h, 12));
    return g;
  }

  function frameHead(place) {
    const { box, x, y, w } = place;
    const title = fit(box.name, w - 60, TITLE);
    const titleWidth = textWidth(title, TITLE);
    const room = Math.min(w - 36 - titleWidth - 22, 200);
    const more = room > 60 ? fit(moduleText(box), room, SMALL) : '';
    return Dom.svg('g', { class: `frame-head level-${box.depth % 2}`, transform: `translate(${x.toFixed(1)},${y.toFixed(1)})`, data: { key: box.key } },
      Dom.svg('rect', { class: 'backing', x: 6, y: 6, width: 30 + titleWidth + (more ? 16 + textWidth(more, SMALL) : 8), height: 24, rx: 7 }),
      toggle(box, 8, 7, true),
      label({ class: 'title', x: 36, y: 24, text: title }),
      more ? label({ class: 'shape', x: 46 + titleWidth, y: 24, text: more }) : null);
  }

  const measured = new Map();

  function textWidth(text, font) {
    const key = `${font}|${text}`;
    if (!measured.has(key)) {
      if (measured.size > 20000) measured.clear();
      pen.font = font;
      measured.set(key, pen.measureText(text).width);
    }
    return measured.get(key);
  }

  function toggle(box, x, y, open) {
    const g = Dom.svg('g', { class: 'toggle', transform: `translate(${x},${y})`, 'aria-hidden': 'true', data: { toggle: box.key } });
    g.append(
      Dom.svg('rect', { width: 22, height: 22, rx: 6 }),
      Dom.svg('path', { d: open ? 'M6.5 8.5 L11 13.5 L15.5 8.5' : 'M8.5 6.5 L13.5 11 L8.5 15.5' }),
    );
    return g;
  }

  function group(place, className) {
    const { box, x, y } = place;
    return Dom.svg('g', { class: className, transform: `translate(${x.toFixed(1)},${y.toFixed(1)})`, data: { key: box.key } });
  }

  /** The box's outline is the button; the texts beside it are for the eye, its label for the ear. */
  function body(place, width, height, rx) {
    const { box } = place;
    return Dom.svg('rect', {
      class: 'body', width, height, rx, tabindex: -1, role: 'button',
      'aria-label': speak(box, place.open), 'aria-expanded': box.isModule ? String(Boolean(place.open)) : null,
    });
  }

  function label(props) {
    return Dom.svg('text', { ...props, 'aria-hidden': 'true' });
  }

  /** What a screen reader says of a box. */
  function speak(box, open, gradient = '') {
    if (box.isModule) {
      return Format.clip(`module ${box.name}, ${box.cls || 'group'}, ${Format.plural(box.size, 'node')}, ${open ? 'open' : 'closed'}`, 300);
    }
    const r = box.record;
    const parts = [box.label === r.op ? r.op : `${box.label}, ${r.op}`, r.kept === false ? 'value not kept' : `shape ${Format.shape(r.shape)}`];
    if (r.value) parts.push(`value ${Format.brief(r.value)}`);
    if (gradient) parts.push(gradient);
    if (r.module) parts.push(`in ${r.module}`);
    return Format.clip(parts.join(', '), 300);
  }

  /** A smooth line through the points, leaving and arriving along the main axis. */
  function pathOf(points, horizontal) {
    const p = ([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`;
    let d = `M${p(points[0])}`;
    for (let i = 1; i < points.length; i += 1) {
      const [x0, y0] = points[i - 1];
      const [x1, y1] = points[i];
      const a = horizontal ? [(x0 + x1) / 2, y0] : [x0, (y0 + y1) / 2];
      const b = horizontal ? [(x0 + x1) / 2, y1] : [x1, (y0 + y1) / 2];
      d += (horizontal ? y0 === y1 : x0 === x1) ? `L${p(points[i])}` : `C${p(a)} ${p(b)} ${p(points[i])}`;
    }
    return d;
  }

  const HEAD = 10;

  /** A line with its arrow head, and the local gradient written beside it. */
  function line(item, { horizontal, flipped }) {
    const g = Dom.svg('g', { class: 'line', data: { line: item.key } });
    const points = item.points;
    const [ex, ey] = points[points.length - 1];
    const back = flipped ? HEAD : -HEAD;
    const stroke = [...points.slice(0, -1), horizontal ? [ex + back, ey] : [ex, ey + back]];
    const turn = horizontal ? (flipped ? 90 : -90) : flipped ? 180 : 0;
    g.append(
      Dom.svg('path', { class: 'stroke', d: pathOf(stroke, horizontal) }),
      Dom.svg('path', { class: 'head', d: `M0 -1 L-6.5 ${-HEAD - 2} L6.5 ${-HEAD - 2} Z`, transform: `translate(${ex.toFixed(1)},${ey.toFixed(1)}) rotate(${turn})` }),
    );
    g.append(Dom.svg('title', { text: describeLine(item) }));
    if (item.label) {
      const { x: lx, y: ly, w, text: short } = item.label;
      const pill = Dom.svg('g', { class: 'local', transform: `translate(${lx.toFixed(1)},${ly.toFixed(1)})` });
      pill.append(
        Dom.svg('rect', { x: -w / 2, y: -9, width: w, height: 18, rx: 9 }),
        label({ y: 4, 'text-anchor': 'middle', text: short }),
      );
      g.append(pill);
    }
    return g;
  }

  /** What a pointer resting on a line is told. */
  function describeLine(item) {
    const names = `${Format.clip(item.from.isModule ? item.from.name : item.from.label, 60)} → ${Format.clip(item.to.isModule ? item.to.name : item.to.label, 60)}`;
    if (item.edges.length > 1) return `${names}: ${item.edges.length} edges`;
    const { local, contribution, numbers } = item.edges[0].record;
    const parts = [names];
    if (local) parts.push(`local gradient ${local.numbers || Format.local(local.text || '')} (${local.structure})`);
    if (numbers || contribution) parts.push(numbers || `hands back ${Format.brief(contribution)}`);
    return parts.join('\n');
  }

  /** The text of a line and the room it takes; null for a line that says nothing. */
  function labelOf(item) {
    const text = localText(item);
    if (!text) return null;
    const short = fit(text, 190, SMALL);
    return { text: short, w: textWidth(short, SMALL) + 12, h: 18 };
  }

  function localText(item) {
    // Between modules, one line stands for the data that goes there: no single local gradient is the line's.
    if (item.from.isModule || item.to.isModule || item.edges.length > 2) return '';
    return item.edges.map(oneLocal).filter(Boolean).join('  ');
  }

  function oneLocal(edge) {
    const local = edge.record.local;
    if (!local) return '';
    if (local.number !== undefined && local.number !== null) return `× ${Format.number(local.number, 3)}`;
    if (local.structure === 'identity') return '× 1';
    return local.short || (local.text ? Format.shortLocal(local.text) : '');
  }

  return { written, labelOf, sizeOf, shapeOf, opOf, node, closed, frame, frameHead, line, pathOf, fit, role, speak, SMALL };
})();
