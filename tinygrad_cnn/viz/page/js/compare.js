/* Two runs of one graph side by side, where the description carries both (`kind` is "compare").
 *
 * A node's own numbers are those of the second run; `other` has those of the first.
 */
'use strict';

const Compare = (() => {
  const WORDS = { added: 'only in the second', removed: 'only in the first', changed: 'changed', same: 'in both' };

  /** The panel's part on one node: what became of it, and value and gradient in both runs. */
  function section(model, record) {
    const [first, second] = model.sides;
    const gone = record.change === 'removed';
    const other = record.other || (gone ? record : {});
    const mine = gone ? {} : record;
    const rows = [['value', 'Value'], ['gradient', 'Gradient']].map(([field, title]) => Dom.el('tr', {},
      Dom.el('th', { scope: 'row', text: title }),
      Dom.el('td', { text: Format.brief(other[field]) }), Dom.el('td', { text: Format.brief(mine[field]) }),
      Dom.el('td', { text: changeText(other[field], mine[field]) })));
    return Dom.el('section', { class: 'panel-section' },
      Dom.el('h3', { text: 'Two runs' }),
      Dom.el('p', {}, Dom.el('span', { class: `change-word change-word-${record.change}`, text: WORDS[record.change] || record.change })),
      (record.changes || []).length ? Dom.el('ul', { class: 'changes' }, record.changes.map((text) => Dom.el('li', {}, Dom.name(text)))) : null,
      Dom.el('table', { class: 'sides' },
        Dom.el('thead', {}, Dom.el('tr', {}, Dom.el('td'), Dom.el('th', { scope: 'col' }, Dom.name(first)), Dom.el('th', { scope: 'col' }, Dom.name(second)), Dom.el('th', { scope: 'col', text: 'change' }))),
        Dom.el('tbody', {}, rows)),
      pictures(other.gradient, mine.gradient, first, second));
  }

  /** The difference of two numbers, the ratio of two norms. */
  function changeText(a, b) {
    if (!a || !b) return '';
    if (Format.isScalar(a) && Format.isScalar(b)) {
      const off = Format.toNumber(b.scalar) - Format.toNumber(a.scalar);
      return off > 0 ? `+${Format.number(off, 3)}` : Format.number(off, 3);
    }
    const [x, y] = [Format.magnitude(a), Format.magnitude(b)];
    return x > 0 && y !== null ? `×${Format.number(y / x, 3)}` : '';
  }

  function pictures(a, b, first, second) {
    const made = [[a, first], [b, second]].map(([summary, side]) => {
      const picture = Pictures.thumbnail(summary, `Gradient, ${Format.clip(side, 40)}: ${Format.brief(summary)}`, 150, 110);
      return picture && Dom.el('figure', {}, picture, Dom.el('figcaption', {}, Dom.name(Format.clip(side, 30))));
    });
    return made.every(Boolean) ? Dom.el('div', { class: 'side-by-side' }, made) : null;
  }

  return { section, changeText };
})();
