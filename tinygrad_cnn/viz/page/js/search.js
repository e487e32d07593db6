/* Search by op, name, module and shape: marks what matches, lists it, jumps to it.
 *
 * Words must all be found; `op:relu`, `module:features`, `name:weight`, `shape:64`, `kind:parameter` look in one
 * field only. A combobox with a list, as the accessibility patterns describe it.
 */
'use strict';

const Search = (() => {
  const LISTED = 60;
  const FIELDS = ['op', 'name', 'module', 'shape', 'kind', 'dtype'];

  class Search {
    constructor(hub, model) {
      Object.assign(this, { hub, model });
      this.input = Dom.byId('search');
      this.list = Dom.byId('results');
      this.found = [];
      this.active = -1;
      this.records = [...model.containers.filter((box) => box.parent), ...model.nodes].map((box) => ({ box, fields: fieldsOf(box) }));
      this.input.addEventListener('input', () => this.run());
      this.input.addEventListener('keydown', (event) => this.onKey(event));
      this.input.addEventListener('focus', () => this.show(this.found.length > 0));
      // Later, so that a press on an entry is still heard.
      this.input.addEventListener('blur', () => setTimeout(() => this.show(false), 150));
    }

    focus() {
      this.input.focus();
      this.input.select();
    }

    run() {
      const test = matcher(this.input.value);
      this.found = test ? this.records.filter((record) => test(record.fields)).map((record) => record.box) : [];
      this.hub.setMatches(test ? new Set(this.found) : null);
      this.active = this.found.length ? 0 : -1;
      this.render(Boolean(test));
    }

    render(asked) {
      const rows = this.found.slice(0, LISTED).map((box, i) => Dom.el('li', {
        id: `result-${i}`, role: 'option', 'aria-selected': String(i === this.active),
        on: { pointerdown: (event) => event.preventDefault(), click: () => this.choose(i) },
      },
      Dom.name(Format.clip(box.isModule ? box.path || box.name : box.label, 60), 'result-name'),
      Dom.el('span', { class: 'result-more', text: box.isModule ? box.cls : Format.clip([box.record.module, box.label === box.record.op ? null : box.record.op, Format.shape(box.record.shape)].filter(Boolean).join(' · '), 48) })));
      this.list.replaceChildren(...rows);
      const count = Dom.byId('result-count');
      count.textContent = !asked ? '' : this.found.length ? Format.plural(this.found.length, 'match').replace('matchs', 'matches') : 'no match';
      this.show(rows.length > 0);
      this.mark();
    }

    show(open) {
      this.list.hidden = !open;
      this.input.setAttribute('aria-expanded', String(open));
    }

    mark() {
      [...this.list.children].forEach((row, i) => row.setAttribute('aria-selected', String(i === this.active)));
      const row = this.list.children[this.active];
      if (row) {
        this.input.setAttribute('aria-activedescendant', row.id);
        row.scrollIntoView({ block: 'nearest' });
      } else this.input.removeAttribute('aria-activedescendant');
    }

    choose(i) {
      this.active = i;
      this.mark();
      if (this.found[i]) this.hub.jump(this.found[i]);
      this.show(false);
    }

    onKey(event) {
      const shown = Math.min(this.found.length, LISTED);
      if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
        event.preventDefault();
        if (!shown) return;
        this.show(true);
        this.active = (this.active + (event.key === 'ArrowDown' ? 1 : -1) + shown) % shown;
        this.mark();
      } else if (event.key === 'Enter' && shown) {
        event.preventDefault();
        const again = this.list.hidden;
        // Enter, Enter, Enter goes through the matches.
        this.choose(again ? (this.active + (event.shiftKey ? -1 : 1) + shown) % shown : Math.max(0, this.active));
      } else if (event.key === 'Escape') {
        event.stopPropagation();
        if (this.list.hidden || !shown) {
          this.input.value = '';
          this.run();
          this.input.blur();
        } else this.show(false);
      }
    }
  }

  function fieldsOf(box) {
    const r = box.record;
    const fields = box.isModule
      ? { op: '', name: box.name, module: box.path, shape: '', kind: `module ${box.cls}`, dtype: '' }
      : {
        op: r.op, name: `${r.name || ''} ${box.label}`, module: r.module || '', shape: `${Format.shape(r.shape)} ${(r.shape || []).join(',')} (${(r.shape || []).join(', ')})`,
        kind: `${r.kind || ''} ${Boxes.role(box)} ${r.alarm || ''}`, dtype: r.dtype || '',
      };
    for (const field of FIELDS) fields[field] = fields[field].toLowerCase();
    return fields;
  }

  /** A test on fields, or null when nothing was asked. */
  function matcher(query) {
    const words = query.toLowerCase().trim().split(/\s+/).filter(Boolean).map((word) => {
      const colon = word.indexOf(':');
      const field = colon > 0 && FIELDS.includes(word.slice(0, colon)) ? word.slice(0, colon) : null;
      return { field, text: (field ? word.slice(colon + 1) : word).replace(/(\d)x(?=\d)/g, '$1×') };
    });
    if (!words.length) return null;
    return (fields) => words.every(({ field, text }) =>
      (field ? fields[field].includes(text) : FIELDS.slice(0, 4).some((name) => fields[name].includes(text)) || fields.kind.split(' ').includes(text)));
  }

  return { Search, matcher };
})();
