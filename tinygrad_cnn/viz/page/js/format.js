/* Numbers and names as short text. Reads nothing of the page; every other file uses it.
 *
 * JSON has no nan and no infinity: the description writes them as "nan", "inf" and "-inf", so whatever is a
 * number here may be such a string.
 */
'use strict';

const Format = (() => {
  /** A number of the description (or its "nan" / "inf" spelling) as a JavaScript number; null stays null. */
  function toNumber(value) {
    if (value === null || value === undefined) return null;
    if (typeof value === 'number') return value;
    const special = { nan: NaN, inf: Infinity, '-inf': -Infinity };
    return value in special ? special[value] : Number(value);
  }

  /** A number with about `digits` significant ones: 0.0312, 12, 1.2e-7, nan. A minus sign, not a hyphen. */
  function number(value, digits = 4) {
    const x = toNumber(value);
    if (x === null) return '–';
    if (Number.isNaN(x)) return 'nan';
    if (!Number.isFinite(x)) return x > 0 ? '∞' : '−∞';
    if (x === 0) return '0';
    const size = Math.abs(x);
    let text;
    if (size >= 1e6 || size < 1e-4) {
      text = x.toExponential(digits - 2).replace(/\.?0+e/, 'e').replace('e+', 'e');
    } else {
      text = String(Number(x.toPrecision(digits)));
    }
    return text.replace(/-/g, '−');
  }

  /** 3 × 4; a scalar's shape is the word. */
  function shape(dims) {
    return dims && dims.length ? dims.join('×') : 'scalar';
  }

  function count(n) {
    return String(n).replace(/\B(?=(\d{3})+(?!\d))/g, ' ');
  }

  /** A count in few letters: 512, 9.4 k, 11.7 M. */
  function short(n) {
    for (const [size, letter] of [[1e9, 'G'], [1e6, 'M'], [1e3, 'k']]) if (n >= size) return `${Number((n / size).toPrecision(3))} ${letter}`;
    return String(n);
  }

  function percent(share) {
    const p = 100 * share;
    if (p > 0 && p < 0.1) return '< 0.1 %';
    if (p < 100 && p > 99.9) return '> 99.9 %';
    return `${Number(p.toFixed(1))} %`;
  }

  function plural(n, word) {
    return `${count(n)} ${word}${n === 1 ? '' : 's'}`;
  }

  /** At most `length` characters; the whole text belongs in the panel. Never cuts a surrogate pair in half. */
  function clip(text, length) {
    if (text.length <= length) return text;
    const whole = Array.from(text.slice(0, 2 * length));
    return whole.length <= length ? whole.join('') : `${whole.slice(0, length - 1).join('')}…`;
  }

  /** The number itself for one entry, else its norm: what fits in a box or a table cell. */
  function brief(summary, digits = 4) {
    if (!summary) return '–';
    if (isScalar(summary)) return number(summary.scalar, digits);
    if (!summary.n) return 'empty';
    // A norm over a nan is nan, as in NumPy; the panel tells how many there are, and the norm of the rest.
    if (summary.nan || summary.inf) return summary.nan ? 'nan' : '∞';
    return `‖${number(summary.norm, digits)}‖`;
  }

  function isScalar(summary) {
    return summary.scalar !== undefined && summary.scalar !== null;
  }

  /** A factor that g, the upstream gradient, is multiplied with stays as it is; anything else is what becomes of g. */
  function local(text) {
    return MAPPING.test(text) ? `g ↦ ${text}` : text;
  }

  const MAPPING = /(^|[^A-Za-z0-9_.])g(?![A-Za-z0-9_(])/;

  /** A small array written out, a text for each row: vectors up to 8 entries, matrices up to 5 × 5; null for others. */
  function entries(summary, digits = 3) {
    if (!summary || !summary.data || isScalar(summary) || !summary.n) return null;
    const { data, shape: dims } = summary;
    const row = (numbers) => `[${numbers.map((x) => number(x, digits)).join(', ')}]`;
    if (dims.length === 1) return dims[0] <= 8 ? [row(data)] : null;
    return dims.length === 2 && Math.max(...dims) <= 5 ? data.map(row) : null;
  }

  /** A local gradient for a line: a formula that fits there, cut at a clause where it must be. */
  function shortLocal(text, longest = 26) {
    const said = MAPPING.test(text) ? text : `× ${text}`;
    if (said.length <= longest) return said;
    const head = said.split(/[,;(]/)[0].trimEnd();
    return head.length > 1 && head.length <= longest ? head : clip(said, longest);
  }

  /** Size of a summary for colours and sorting: |x| of a scalar, the norm of an array; null when unknown. */
  function magnitude(summary) {
    if (!summary) return null;
    const x = isScalar(summary) ? toNumber(summary.scalar) : toNumber(summary.norm);
    return x === null ? null : Math.abs(x);
  }

  return { entries, short, shortLocal, toNumber, number, shape, count, percent, plural, clip, brief, local, isScalar, magnitude };
})();
