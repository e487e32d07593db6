/* Colour maps: one scale for the size of a gradient, one for pictures of values, one two-sided for gradients.
 *
 * Blue is negative, orange positive, so that no pair relies on red against green. Every map has a light and a
 * dark form, whose zero lies near the page's own background.
 */
'use strict';

const Colours = (() => {
  const STOPS = {
    light: {
      size: ['#cdbfae', '#e0975a', '#c4511a', '#7d1f06'],
      values: ['#eef4f4', '#9ccfd0', '#3a98a0', '#0d5d6b', '#06303c'],
      signed: ['#12407f', '#3f7fc0', '#a9cbe6', '#f6f5f2', '#f5c39a', '#d9752f', '#8c3a06'],
      none: '#d9dde3',
    },
    dark: {
      size: ['#5a5049', '#9c6a45', '#e08a4a', '#ffd0a3'],
      values: ['#16222b', '#1d5560', '#2f8f99', '#79cdd0', '#e6fbf7'],
      signed: ['#9fd0ff', '#5a9fe0', '#2a5684', '#1b222b', '#7a4521', '#e08a45', '#ffd3a6'],
      none: '#3b4450',
    },
  };

  function theme() {
    return document.documentElement.dataset.theme === 'dark' ? 'dark' : 'light';
  }

  const tables = new Map();

  /** 256 colours [r, g, b] of a map ("size", "values", "signed") in the theme now shown. */
  function table(map) {
    const key = `${theme()} ${map}`;
    if (!tables.has(key)) {
      const stops = STOPS[theme()][map].map(parse);
      tables.set(key, Array.from({ length: 256 }, (_, i) => mix(stops, i / 255)));
    }
    return tables.get(key);
  }

  function parse(hex) {
    return [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
  }

  function mix(stops, share) {
    const at = share * (stops.length - 1);
    const i = Math.min(Math.floor(at), stops.length - 2);
    return stops[i].map((c, k) => Math.round(c + (at - i) * (stops[i + 1][k] - c)));
  }

  function at(map, share) {
    return css(table(map)[Math.round(255 * Math.min(1, Math.max(0, share)))]);
  }

  function css(rgb) {
    return `rgb(${rgb.join(' ')})`;
  }

  function none() {
    return parse(STOPS[theme()].none);
  }

  /** The log scale of gradient sizes: `share(size)` from 0 (smallest) to 1, null for zero and unknown. */
  function sizeScale(sizes) {
    let low = Infinity;
    let high = 0;
    for (const size of sizes) {
      if (!(size > 0) || !Number.isFinite(size)) continue;
      low = Math.min(low, size);
      high = Math.max(high, size);
    }
    if (!high) return { low: null, high: null, share: () => null };
    // At most eight decades, at least two: otherwise noise looks like a difference, or nothing does.
    let bottom = Math.max(Math.log10(low), Math.log10(high) - 8);
    const top = Math.log10(high);
    if (top - bottom < 2) bottom = top - 2;
    const share = (size) => {
      if (size === null || !(size > 0)) return null;
      if (!Number.isFinite(size)) return 1;
      return Math.min(1, Math.max(0, (Math.log10(size) - bottom) / (top - bottom)));
    };
    return { low: 10 ** bottom, high: 10 ** top, share };
  }

  return { theme, table, at, css, none, sizeScale };
})();
