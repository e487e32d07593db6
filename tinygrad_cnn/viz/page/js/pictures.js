/* Arrays as pictures: heat maps with legend and numbers, small matrices as tables, histograms, statistics.
 *
 * Reads the description's `Summary` and `Image` records; gives elements.
 */
'use strict';

const Pictures = (() => {
  const FOLD = 5;
  const decoded = new WeakMap();

  function bytes(image) {
    if (!decoded.has(image)) decoded.set(image, Uint8Array.from(atob(image.data), (c) => c.charCodeAt(0)));
    return decoded.get(image);
  }

  /** The number a byte stands for; null where the entry was not finite. */
  function valueOf(image, byte) {
    if (byte === 0) return null;
    const lo = Format.toNumber(image.lo);
    const hi = Format.toNumber(image.hi);
    return image.diverging && byte === 128 ? 0 : lo + ((hi - lo) * (byte - 1)) / 254;
  }

  function mapOf(image) {
    return image.diverging ? 'signed' : 'values';
  }

  /** How tiles lie on the canvas, in `room` by `tall` pixels. */
  function plan(image, room, tall) {
    const tiles = image.channels === 3 ? 1 : image.tiles;
    let best = null;
    for (let across = 1; across <= tiles; across += 1) {
      const down = Math.ceil(tiles / across);
      const gap = tiles > 1 ? 2 : 0;
      const scale = Math.min((room - gap * (across - 1)) / (across * image.cols), (tall - gap * (down - 1)) / (down * image.rows), 28);
      if (!best || scale > best.scale) best = { across, down, gap, scale };
    }
    best.scale = best.scale >= 1 ? Math.floor(best.scale) : Math.max(best.scale, 0.25);
    best.tiles = tiles;
    best.w = Math.max(1, Math.round(best.across * image.cols * best.scale + best.gap * (best.across - 1)));
    best.h = Math.max(1, Math.round(best.down * image.rows * best.scale + best.gap * (best.down - 1)));
    return best;
  }

  function paint(canvas, image, layout) {
    const pen = canvas.getContext('2d');
    const data = bytes(image);
    const colours = Colours.table(mapOf(image));
    const none = Colours.none();
    const size = image.rows * image.cols;
    const source = document.createElement('canvas');
    source.width = image.cols;
    source.height = image.rows;
    const inner = source.getContext('2d');
    const pixels = inner.createImageData(image.cols, image.rows);
    canvas.width = layout.w;
    canvas.height = layout.h;
    pen.imageSmoothingEnabled = layout.scale < 1;
    for (let tile = 0; tile < layout.tiles; tile += 1) {
      for (let i = 0; i < size; i += 1) {
        const byte = data[tile * size + i];
        const rgb = image.channels === 3 ? [data[i], data[size + i], data[2 * size + i]] : byte ? colours[byte] : none;
        pixels.data.set(rgb, 4 * i);
        pixels.data[4 * i + 3] = 255;
      }
      inner.putImageData(pixels, 0, 0);
      const { x, y } = corner(image, layout, tile);
      pen.drawImage(source, x, y, image.cols * layout.scale, image.rows * layout.scale);
    }
  }

  function corner(image, layout, tile) {
    return {
      x: (tile % layout.across) * (image.cols * layout.scale + layout.gap),
      y: Math.floor(tile / layout.across) * (image.rows * layout.scale + layout.gap),
    };
  }

  /** A picture of a few dozen pixels, for the player's multiplication; null when there is none to draw. */
  function thumbnail(summary, label, room = 52, tall = 38) {
    if (!summary || !summary.image) return null;
    const canvas = Dom.el('canvas', { class: 'thumbnail', role: 'img', 'aria-label': label });
    const { image } = summary;
    let layout = plan(image, room, tall);
    // Rather a few slices that can be seen than all of them as dust.
    for (let tiles = image.tiles - 1; tiles > 0 && layout.scale < 3 && image.channels !== 3; tiles = Math.floor(tiles / 2)) layout = plan({ ...image, tiles }, room, tall);
    if (layout.w > 2 * room || layout.h > 2 * tall) return null; // a mere line
    paint(canvas, image, layout);
    return canvas;
  }

  /** The heat map of a summary with its legend; pointer or arrow keys tell the numbers. */
  function heatMap(summary, what, room = 320) {
    const image = summary.image;
    const layout = plan(image, room, 190);
    const canvas = Dom.el('canvas', { class: 'heat-map', tabindex: 0, role: 'img', 'aria-label': `${what} as a heat map, ${rangeText(image)}` });
    const readout = Dom.el('output', { class: 'readout', text: image.caption || 'Point at the picture, or use the arrow keys in it, to read numbers.' });
    paint(canvas, image, layout);
    const probe = { tile: 0, row: 0, col: 0 };
    const tell = () => (readout.textContent = probeText(image, probe));
    canvas.addEventListener('pointermove', (event) => {
      const r = canvas.getBoundingClientRect();
      const x = ((event.clientX - r.left) / r.width) * layout.w;
      const y = ((event.clientY - r.top) / r.height) * layout.h;
      const across = Math.min(layout.across - 1, Math.floor(x / (image.cols * layout.scale + layout.gap)));
      const down = Math.min(layout.down - 1, Math.floor(y / (image.rows * layout.scale + layout.gap)));
      const tile = down * layout.across + across;
      if (tile >= layout.tiles) return;
      const from = corner(image, layout, tile);
      probe.tile = tile;
      probe.row = clamp(Math.floor((y - from.y) / layout.scale), image.rows);
      probe.col = clamp(Math.floor((x - from.x) / layout.scale), image.cols);
      tell();
    });
    canvas.addEventListener('pointerleave', () => (readout.textContent = image.caption || ''));
    canvas.addEventListener('keydown', (event) => {
      const move = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
      if (!move) return;
      event.preventDefault();
      event.stopPropagation();
      const row = probe.row + move[0];
      const col = probe.col + move[1];
      // Past the side of a tile, the neighbouring tile begins.
      if (col < 0 && probe.tile > 0) Object.assign(probe, { tile: probe.tile - 1, col: image.cols - 1 });
      else if (col >= image.cols && probe.tile < layout.tiles - 1) Object.assign(probe, { tile: probe.tile + 1, col: 0 });
      else Object.assign(probe, { row: clamp(row, image.rows), col: clamp(col, image.cols) });
      tell();
    });
    return Dom.el('div', { class: 'picture' }, canvas, image.channels === 3 ? null : legend(image), readout);
  }

  function clamp(i, n) {
    return Math.max(0, Math.min(n - 1, i));
  }

  function probeText(image, { tile, row, col }) {
    const size = image.rows * image.cols;
    const at = row * image.cols + col;
    const planes = image.channels === 3 ? [0, 1, 2] : [tile];
    const numbers = planes.map((plane) => {
      const value = valueOf(image, bytes(image)[plane * size + at]);
      return value === null ? 'not finite' : Format.number(value, 3);
    });
    const shrunk = (image.source_rows && image.source_rows !== image.rows) || (image.source_cols && image.source_cols !== image.cols);
    const where = `${image.channels === 3 || image.tiles === 1 ? '' : `slice ${tile}, `}${shrunk ? 'block' : 'entry'} [${row}, ${col}]`;
    return `${where}: ${shrunk ? 'mean ' : ''}≈ ${numbers.join(', ')}`;
  }

  function rangeText(image) {
    return `from ${Format.number(image.lo, 3)} to ${Format.number(image.hi, 3)}`;
  }

  function legend(image) {
    const bar = Dom.el('canvas', { class: 'ramp', width: 254, height: 1, 'aria-hidden': 'true' });
    const pen = bar.getContext('2d');
    const colours = Colours.table(mapOf(image));
    for (let i = 1; i < 256; i += 1) {
      pen.fillStyle = `rgb(${colours[i].join(' ')})`;
      pen.fillRect(i - 1, 0, 1, 1);
    }
    return Dom.el('div', { class: 'legend' },
      Dom.el('span', { text: Format.number(image.lo, 3) }),
      Dom.el('span', { class: image.diverging ? 'ramp-frame with-zero' : 'ramp-frame' }, bar),
      Dom.el('span', { text: Format.number(image.hi, 3) }));
  }

  /** All entries of a small array as a table, each cell coloured by its number. */
  function matrix(summary, what, signed) {
    const rows = rowsOf(summary.data);
    let largest = 0;
    let least = Infinity;
    for (const x of rows.flat().map(Format.toNumber)) {
      if (!Number.isFinite(x)) continue;
      largest = Math.max(largest, Math.abs(x));
      least = Math.min(least, x);
    }
    const two = signed || least < 0;
    const colours = Colours.table(two ? 'signed' : 'values');
    const body = rows.map((row) => Dom.el('tr', {}, row.map((entry) => {
      const x = Format.toNumber(entry);
      const share = largest ? (two ? (x / largest + 1) / 2 : x / largest) : two ? 0.5 : 0;
      const cell = Dom.el('td', { text: Format.number(x, 3) });
      if (Number.isFinite(x)) {
        const rgb = colours[Math.round(255 * share)];
        cell.style.background = `rgb(${rgb.join(' ')})`;
        cell.style.color = luminance(rgb) > 0.19 ? '#10151c' : '#ffffff';
      } else cell.className = 'not-finite';
      return cell;
    })));
    return Dom.el('div', { class: 'matrix-frame', tabindex: 0, role: 'region', 'aria-label': `${what}, all entries` },
      Dom.el('table', { class: 'matrix' }, Dom.el('tbody', {}, body)));
  }

  function rowsOf(data) {
    if (!Array.isArray(data)) return [[data]];
    if (!data.some(Array.isArray)) {
      // A long vector is folded: the panel is no wider than this.
      const rows = [];
      for (let i = 0; i < data.length; i += FOLD) rows.push(data.slice(i, i + FOLD));
      return rows;
    }
    return data.flatMap((part) => rowsOf(part));
  }

  function luminance(rgb) {
    const [r, g, b] = rgb.map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  }

  /** Bars with the axis below; its numbers as text for who cannot see it. */
  function histogram(record, what, className) {
    const most = Math.max(...record.counts, 1);
    const n = record.counts.length;
    const [w, h] = [320, 64];
    const lo = Format.toNumber(record.lo);
    const hi = Format.toNumber(record.hi);
    const total = record.counts.reduce((a, b) => a + b, 0);
    const peak = record.counts.indexOf(most);
    const at = (i) => lo + ((hi - lo) * i) / n;
    const picture = Dom.svg('svg', {
      class: `histogram ${className}`, viewBox: `0 0 ${w} ${h}`, role: 'img',
      'aria-label': `Histogram of ${what}: ${total} entries from ${Format.number(lo, 3)} to ${Format.number(hi, 3)}, most of them (${most}) between ${Format.number(at(peak), 3)} and ${Format.number(at(peak + 1), 3)}`,
    });
    record.counts.forEach((count, i) => {
      // A bin that is not empty shows at least a line.
      const tall = count ? Math.max(1.5, (count / most) * (h - 4)) : 0;
      const bar = Dom.svg('rect', { x: (i * w) / n + 0.5, y: h - tall, width: Math.max(w / n - 1, 0.5), height: tall, rx: 1 });
      bar.append(Dom.svg('title', { text: `${Format.number(at(i), 3)} … ${Format.number(at(i + 1), 3)}: ${Format.count(count)}` }));
      picture.append(bar);
    });
    if (lo < 0 && hi > 0) picture.append(Dom.svg('line', { class: 'zero', x1: (-lo / (hi - lo)) * w, x2: (-lo / (hi - lo)) * w, y1: 0, y2: h }));
    return Dom.el('div', { class: 'histogram-frame' }, picture,
      Dom.el('div', { class: 'axis', 'aria-hidden': 'true' }, Dom.el('span', { text: Format.number(lo, 3) }), Dom.el('span', { text: Format.number(hi, 3) })));
  }

  /** Mean, spread, range, norm, zeros, and what is not finite, as a list of terms. */
  function statistics(summary) {
    const rows = [
      ['mean', Format.number(summary.mean)], ['std', Format.number(summary.std)],
      ['min', Format.number(summary.min)], ['max', Format.number(summary.max)],
      ['norm', Format.number(summary.norm)], ['zeros', Format.percent(summary.zeros || 0)],
    ];
    if (summary.nan) rows.push(['nan', Format.count(summary.nan), 'bad']);
    if (summary.inf) rows.push(['inf', Format.count(summary.inf), 'bad']);
    return Dom.el('dl', { class: 'statistics' }, rows.map(([term, text, mark]) =>
      Dom.el('div', { class: mark || null }, Dom.el('dt', { text: term }), Dom.el('dd', { text }))));
  }

  return { thumbnail, heatMap, matrix, histogram, statistics };
})();
