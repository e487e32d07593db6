/* The same graph as a table: sortable, reachable by keyboard, linked to the selection.
 *
 * Only the rows in sight exist as elements (a graph may have 100,000 nodes); `aria-rowindex` tells a screen
 * reader where they stand. Rows have one height, so scrolling is arithmetic.
 */
'use strict';

const Table = (() => {
  const ROW = 34;
  const SPARE = 8;
  const COLUMNS = [
    { key: 'order', title: '#', number: true, of: (box) => box.order + 1 },
    { key: 'label', title: 'Name', of: (box) => box.label },
    { key: 'op', title: 'Op', of: (box) => box.record.op },
    { key: 'module', title: 'Module', of: (box) => box.record.module || '' },
    { key: 'shape', title: 'Shape', mono: true, of: (box) => Format.shape(box.record.shape), sort: (box) => (box.record.shape || []).reduce((a, b) => a * b, 1) },
    { key: 'dtype', title: 'dtype', mono: true, of: (box) => box.record.dtype || '' },
    { key: 'value', title: 'Value', number: true, of: (box) => Format.brief(box.record.value), sort: (box) => sortable(box.record.value) },
    { key: 'gradient', title: 'Gradient', number: true }, // filled in by the player
    { key: 'other', title: 'Gradient before', number: true, compare: true, of: (box) => Format.brief(box.record.other && box.record.other.gradient), sort: (box) => sortable(box.record.other && box.record.other.gradient) },
    { key: 'change', title: 'Change', compare: true, of: (box) => box.record.change || '' },
    { key: 'source', title: 'Made at', mono: true, of: (box) => (box.record.source ? `${box.record.source.file}:${box.record.source.line}` : '') },
  ];

  function sortable(summary) {
    if (!summary) return -Infinity;
    const x = Format.toNumber(Format.isScalar(summary) ? summary.scalar : summary.norm);
    return x === null || Number.isNaN(x) ? -Infinity : x;
  }

  class Table {
    constructor(hub, model, player) {
      Object.assign(this, { hub, model, player });
      this.frame = Dom.byId('table-frame');
      this.body = Dom.byId('table-body');
      this.sort = { key: 'order', down: false };
      this.only = null;
      this.columns = COLUMNS.filter((column) => model.compare || !column.compare).map((column) => (column.key === 'gradient'
        ? { ...column, of: (box) => gradientText(player, box), sort: (box) => sortable(player.gradientOf(box)) }
        : column));
      this.head();
      this.draw = Dom.perFrame(() => this.drawNow());
      this.frame.addEventListener('scroll', this.draw);
      new ResizeObserver(this.draw).observe(this.frame);
      this.body.addEventListener('click', (event) => this.onClick(event));
      this.body.addEventListener('keydown', (event) => this.onKey(event));
      player.onMove(() => this.draw());
      this.arrange();
    }

    head() {
      const cells = this.columns.map((column) => Dom.el('th', { scope: 'col', class: column.number ? 'right' : null, data: { column: column.key } },
        Dom.el('button', { type: 'button', on: { click: () => this.sortBy(column.key) } }, Dom.el('span', { text: column.title }), Dom.el('span', { class: 'arrow', 'aria-hidden': 'true' }))));
      Dom.byId('table-head').replaceChildren(Dom.el('tr', { 'aria-rowindex': 1 }, cells));
    }

    sortBy(key) {
      const again = this.sort.key === key;
      // Sizes are wanted largest first.
      this.sort = { key, down: again ? !this.sort.down : key === 'gradient' || key === 'value' };
      this.arrange();
      this.frame.scrollTop = 0;
      const title = this.columns.find((column) => column.key === key).title;
      Dom.announce(`Sorted by ${title}, ${this.sort.down ? 'largest' : 'smallest'} first`);
    }

    filter(only) {
      this.only = only;
      this.arrange();
    }

    arrange() {
      const column = this.columns.find((c) => c.key === this.sort.key);
      const value = column.sort || (column.number ? (box) => Number(column.of(box)) : column.of);
      const sign = this.sort.down ? -1 : 1;
      const rows = (this.only ? this.model.nodes.filter((box) => this.only.has(box)) : this.model.nodes).map((box) => [value(box), box]);
      const collator = new Intl.Collator('en', { numeric: true });
      rows.sort(([a, x], [b, y]) => sign * (typeof a === 'string' ? collator.compare(a, b) : a < b ? -1 : a > b ? 1 : 0) || x.order - y.order);
      this.rows = rows.map(([, box]) => box);
      this.place = new Map(this.rows.map((box, i) => [box, i]));
      this.focused = Math.min(this.focused || 0, Math.max(0, this.rows.length - 1));
      for (const th of Dom.byId('table-head').querySelectorAll('th')) {
        const mine = th.dataset.column === this.sort.key;
        th.setAttribute('aria-sort', mine ? (this.sort.down ? 'descending' : 'ascending') : 'none');
      }
      Dom.byId('table').setAttribute('aria-rowcount', this.rows.length + 1);
      this.drawNow();
    }

    drawNow() {
      if (!this.frame.clientHeight) return;
      const first = Math.max(0, Math.floor(this.frame.scrollTop / ROW) - SPARE);
      const last = Math.min(this.rows.length, Math.ceil((this.frame.scrollTop + this.frame.clientHeight) / ROW) + SPARE);
      const focusInside = this.body.contains(document.activeElement);
      const made = [];
      for (let i = first; i < last; i += 1) made.push(this.row(i));
      this.body.replaceChildren(spacer(first * ROW, this.columns.length), ...made, spacer((this.rows.length - last) * ROW, this.columns.length));
      if (!this.rows.length) this.body.append(Dom.el('tr', {}, Dom.el('td', { colspan: this.columns.length, class: 'quiet', text: 'No node matches the search.' })));
      if (!this.body.querySelector('[tabindex="0"]') && made.length) made[0].setAttribute('tabindex', 0);
      if (focusInside) {
        const row = this.body.querySelector(`[data-row="${this.focused}"]`);
        if (row) row.focus({ preventScroll: true });
      }
    }

    row(i) {
      const box = this.rows[i];
      const selected = this.hub.selected === box;
      const state = this.player.stateOf(box);
      const current = this.player.node === box ? ' current' : '';
      const cells = this.columns.map((column) => {
        const text = Format.clip(String(column.of(box)), 90);
        const className = [column.number ? 'right mono' : column.mono ? 'mono' : '', `column-${column.key}`].join(' ').trim();
        return Dom.el('td', { class: className }, column.number ? text : Dom.name(text));
      });
      return Dom.el('tr', {
        tabindex: i === this.focused ? 0 : -1, class: `row ${state}${current}`, 'aria-rowindex': i + 2, 'aria-selected': String(selected), data: { row: i },
      }, cells);
    }

    // --- selection and keys -----------------------------------------------------------------

    /** Scroll the selected node's row into sight. */
    showSelected() {
      const i = this.place.get(this.hub.selected);
      if (i !== undefined) this.scrollTo(i);
      this.drawNow();
    }

    scrollTo(i) {
      this.focused = i;
      const top = i * ROW;
      const room = this.frame.clientHeight - ROW; // the head covers one row
      if (top < this.frame.scrollTop) this.frame.scrollTop = top;
      else if (top + ROW > this.frame.scrollTop + room) this.frame.scrollTop = top + ROW - room;
    }

    onClick(event) {
      const row = event.target.closest('tr[data-row]');
      if (!row) return;
      this.focused = Number(row.dataset.row);
      this.hub.jump(this.rows[this.focused], { focus: false });
      this.focusRow();
    }

    onKey(event) {
      const page = Math.max(1, Math.floor(this.frame.clientHeight / ROW) - 2);
      const goal = {
        ArrowDown: this.focused + 1, ArrowUp: this.focused - 1, PageDown: this.focused + page, PageUp: this.focused - page,
        Home: 0, End: this.rows.length - 1,
      }[event.key];
      if (goal !== undefined) {
        event.preventDefault();
        event.stopPropagation();
        this.scrollTo(Math.max(0, Math.min(this.rows.length - 1, goal)));
        this.focusRow();
      } else if (event.key === 'Enter') {
        event.preventDefault();
        event.stopPropagation();
        this.hub.jump(this.rows[this.focused], { focus: false });
        this.focusRow();
      }
    }

    focusRow() {
      this.drawNow();
      const row = this.body.querySelector(`[data-row="${this.focused}"]`);
      if (row) row.focus({ preventScroll: true });
    }
  }

  function gradientText(player, box) {
    const state = player.stateOf(box);
    return state === 'none' ? '' : state === 'waiting' ? '·' : Format.brief(player.gradientOf(box));
  }

  function spacer(height, columns) {
    if (height <= 0) return '';
    const cell = Dom.el('td', { colspan: columns });
    cell.style.height = `${height}px`;
    return Dom.el('tr', { class: 'spacer', 'aria-hidden': 'true' }, cell);
  }

  return { Table };
})();
