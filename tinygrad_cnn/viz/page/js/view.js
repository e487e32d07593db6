/* The graph on the screen: pan, zoom, and drawing just the boxes and lines that can be seen.
 *
 * Reads the scene (places) and the player (how far gradients have come); tells the page's hub what was hovered,
 * selected or toggled. With more than a few hundred boxes in sight, names could not be read anyway: then a
 * canvas shows coloured blocks, and SVG only what is selected, focused or current.
 */
'use strict';

const View = (() => {
  const NEAR_LIMIT = 450;
  const ZOOM = { min: 0.01, max: 4 };
  const BUTTONS = 44; // pixels at the left that lie under the buttons
  const MARGIN = 60; // pixels around the window that are drawn too

  class View {
    constructor(hub, model, scene, player) {
      Object.assign(this, { hub, model, scene, player });
      this.stage = Dom.byId('stage');
      this.svg = Dom.byId('graph');
      this.far = Dom.byId('far');
      this.layers = { frames: Dom.svg('g'), lines: Dom.svg('g'), labels: Dom.svg('g'), heads: Dom.svg('g'), boxes: Dom.svg('g') };
      this.world = Dom.svg('g', {}, Object.values(this.layers));
      this.svg.append(this.world);
      this.at = { x: 0, y: 0, k: 1 };
      this.drawn = new Map();
      this.focusKey = null;
      this.draw = Dom.perFrame(() => this.drawNow());
      this.still = window.matchMedia('(prefers-reduced-motion: reduce)');
      Pointer.attach(this);
      Minimap.attach(this);
      this.whenPrinting();
      new ResizeObserver(() => this.resized()).observe(this.stage);
      this.resized();
      this.fit();
    }

    // --- what is seen -----------------------------------------------------------------------

    resized() {
      const { width, height } = this.stage.getBoundingClientRect();
      const before = this.size;
      this.size = { w: Math.max(width, 50), h: Math.max(height, 50) };
      const ratio = window.devicePixelRatio || 1;
      this.far.width = Math.round(this.size.w * ratio);
      this.far.height = Math.round(this.size.h * ratio);
      // The middle stays the middle.
      if (before) this.moveTo({ x: this.at.x + (this.size.w - before.w) / 2, y: this.at.y + (this.size.h - before.h) / 2, k: this.at.k });
    }

    moveTo(at) {
      this.at = { x: at.x, y: at.y, k: Math.min(ZOOM.max, Math.max(ZOOM.min, at.k)) };
      this.draw();
    }

    /** Go to a place; in a few frames, unless motion is unwanted. */
    glideTo(goal) {
      cancelAnimationFrame(this.gliding);
      if (this.still.matches) return this.moveTo(goal);
      const from = this.at;
      const start = performance.now();
      const frame = (now) => {
        const t = Math.min(1, (now - start) / 220);
        const e = 1 - (1 - t) ** 3;
        this.moveTo({ x: from.x + e * (goal.x - from.x), y: from.y + e * (goal.y - from.y), k: from.k * (goal.k / from.k) ** e });
        if (t < 1) this.gliding = requestAnimationFrame(frame);
      };
      this.gliding = requestAnimationFrame(frame);
      return undefined;
    }

    zoomBy(factor, x = this.size.w / 2, y = this.size.h / 2) {
      const k = Math.min(ZOOM.max, Math.max(ZOOM.min, this.at.k * factor));
      const f = k / this.at.k;
      this.moveTo({ x: x - f * (x - this.at.x), y: y - f * (y - this.at.y), k });
    }

    panBy(dx, dy) {
      this.moveTo({ x: this.at.x + dx, y: this.at.y + dy, k: this.at.k });
    }

    fit(glide = false) {
      const { w, h } = this.scene.bounds;
      const pad = 9;
      const free = this.size.w - BUTTONS;
      const k = Math.min(1.25, (free - 2 * pad) / Math.max(w, 1), (this.size.h - 2 * pad) / Math.max(h, 1));
      const goal = { x: BUTTONS + (free - k * w) / 2, y: (this.size.h - k * h) / 2, k: Math.max(ZOOM.min, k) };
      return glide ? this.glideTo(goal) : this.moveTo(goal);
    }

    /** Paper shows the whole graph, in light colours; the screen comes back as it was. */
    whenPrinting() {
      let before = null;
      window.addEventListener('beforeprint', () => {
        before = this.at;
        Theme.paper(true);
        this.fit();
        this.drawNow();
        if (this.isFar) return;
        // The paper's size is not known here: the drawing takes what there is.
        const { w, h } = this.scene.bounds;
        this.stage.dataset.detail = 'high';
        this.world.removeAttribute('transform');
        this.svg.setAttribute('viewBox', `-8 -8 ${Math.ceil(w) + 16} ${Math.ceil(h) + 16}`);
      });
      window.addEventListener('afterprint', () => {
        if (!before) return;
        this.svg.removeAttribute('viewBox');
        Theme.paper(false);
        this.moveTo(before);
        before = null;
      });
    }

    /** At first: the whole graph where its names can be read so, else its beginning in full size. */
    start(readable = 0.9999) {
      this.size = null; // nothing to keep in the middle yet
      this.resized();
      // Only now does the window have its parts, and their sizes.
      this.scene.setRoom({ w: this.size.w - BUTTONS - 20, h: this.size.h - 24 });
      if (!this.begun) this.scene.closeUntilFit();
      this.begun = true;
      this.rearranged();
      this.fit();
      if (this.at.k >= readable) return;
      const { w, h } = this.scene.bounds;
      const free = this.size.w - BUTTONS;
      // No text is shown smaller than it is set: one scrolls instead.
      const first = Math.max(...this.model.nodes.slice(0, 1).map((node) => this.place(node).y), 0);
      this.moveTo({
        x: this.model.horizontal || w > free - 20 ? BUTTONS + 14 : BUTTONS + (free - w) / 2,
        y: this.model.horizontal && h > this.size.h ? Math.min(14, this.size.h / 2 - first) : h > this.size.h - 20 ? 14 : (this.size.h - h) / 2, k: 1,
      });
    }

    place(box) {
      return this.scene.places.get(this.scene.visible(box).key);
    }

    /** Bring a box into sight, moving no more than needed; `centre` puts it in the middle at a readable size. */
    show(box, centre = false) {
      const place = this.place(box);
      const k = centre ? Math.max(this.at.k, 0.7) : this.at.k;
      const mid = { x: place.x + Math.min(place.w, this.size.w / k) / 2, y: place.y + Math.min(place.h, this.size.h / k) / 2 };
      const screen = { x: mid.x * this.at.k + this.at.x, y: mid.y * this.at.k + this.at.y };
      const inner = { x: 0.14 * this.size.w + (place.w * k) / 2, y: 0.12 * this.size.h + (place.h * k) / 2 };
      const seen = screen.x > inner.x && screen.x < this.size.w - inner.x && screen.y > inner.y && screen.y < this.size.h - inner.y;
      if (seen && k === this.at.k) return;
      this.glideTo({ x: this.size.w / 2 - k * mid.x, y: this.size.h / 2 - k * mid.y, k });
    }

    // --- drawing ----------------------------------------------------------------------------

    /** After something opened or closed: every place is new; `anchor` keeps its place on the screen. */
    rearranged(anchor = null, before = null) {
      for (const item of this.drawn.values()) remove(item);
      this.drawn.clear();
      if (anchor && before) {
        const now = this.place(anchor);
        this.at.x += (before.x - now.x) * this.at.k;
        this.at.y += (before.y - now.y) * this.at.k;
      }
      this.drawNow();
    }

    window() {
      const { x, y, k } = this.at;
      const m = MARGIN / k;
      return { x0: -x / k - m, y0: -y / k - m, x1: (this.size.w - x) / k + m, y1: (this.size.h - y) / k + m };
    }

    drawNow() {
      const { x, y, k } = this.at;
      this.world.setAttribute('transform', `translate(${x.toFixed(2)},${y.toFixed(2)}) scale(${k.toFixed(4)})`);
      this.stage.dataset.detail = k < 0.33 ? 'low' : k < 0.55 ? 'middle' : 'high';
      const sight = this.window();
      const places = [];
      for (const place of this.scene.places.values()) {
        if (place.box.parent && place.x < sight.x1 && place.x + place.w > sight.x0 && place.y < sight.y1 && place.y + place.h > sight.y0) places.push(place);
      }
      const lines = [];
      for (const line of this.scene.lines.values()) {
        const e = line.extent;
        if (e.x0 < sight.x1 && e.x1 > sight.x0 && e.y0 < sight.y1 && e.y1 > sight.y0) lines.push(line);
      }
      this.isFar = places.length + lines.length / 2 > NEAR_LIMIT;
      const special = new Set([this.hub.selected, this.hub.hovered, this.player.node].filter(Boolean).map((box) => this.scene.visible(box).key));
      if (this.focusKey) special.add(this.focusKey);
      const wanted = new Set();
      for (const key of special) {
        const place = this.scene.places.get(key);
        if (place && place.box.parent) this.ensure(place, wanted);
      }
      if (this.isFar) {
        Far.paint(this, places, lines);
      } else {
        if (this.far.hidden === false) this.far.hidden = true;
        places.sort((a, b) => a.box.depth - b.box.depth);
        for (const place of places) this.ensure(place, wanted);
        for (const line of lines) this.ensureLine(line, wanted);
      }
      for (const [key, item] of this.drawn) {
        if (wanted.has(key)) continue;
        remove(item);
        this.drawn.delete(key);
      }
      this.tabStop();
      this.refresh();
      Minimap.paint(this);
    }

    ensure(place, wanted) {
      const key = place.box.key;
      wanted.add(key);
      if (this.drawn.has(key)) return;
      const make = place.open ? Boxes.frame : place.box.isModule ? Boxes.closed : Boxes.node;
      const element = make(place);
      (place.open ? this.layers.frames : this.layers.boxes).append(element);
      const head = place.open ? Boxes.frameHead(place) : null;
      if (head) this.layers.heads.append(head);
      this.drawn.set(key, { element, place, head, button: element.querySelector('.body') });
    }

    ensureLine(line, wanted) {
      const key = `line ${line.key}`;
      wanted.add(key);
      if (this.drawn.has(key)) return;
      const element = Boxes.line(line, this.model);
      this.layers.lines.append(element);
      // Texts lie over all lines: another line must not strike them out.
      const head = element.querySelector('.local');
      if (head) this.layers.labels.append(head);
      this.drawn.set(key, { element, line, head });
    }

    /** Exactly one box can be reached with Tab; the arrow keys move on from there. */
    tabStop() {
      const selected = this.hub.selected ? this.scene.visible(this.hub.selected).key : null;
      let stop = this.drawn.has(this.focusKey) ? this.focusKey : this.drawn.has(selected) ? selected : null;
      if (!stop) for (const [key, item] of this.drawn) if (item.place) { stop = key; break; }
      for (const [key, item] of this.drawn) if (item.place) item.button.setAttribute('tabindex', key === stop ? 0 : -1);
    }

    focus(box) {
      const key = this.scene.visible(box).key;
      this.focusKey = key;
      this.drawNow();
      const item = this.drawn.get(key);
      if (item) item.button.focus({ preventScroll: true });
    }

    // --- state ------------------------------------------------------------------------------

    /** Bring colours, widths, numbers and marks of everything drawn up to date. */
    refresh() {
      const { hub, player, scene } = this;
      const seen = (box) => (box ? scene.visible(box).key : null);
      const selected = seen(hub.selected);
      const current = seen(player.node);
      const hovered = seen(hub.hovered);
      const near = new Set((scene.linesAt.get(hovered || selected) || []).map((line) => line.key));
      const handing = new Set(player.current ? player.current.downstream.map((d) => d.edge) : []);
      for (const [key, item] of this.drawn) {
        if (item.line) {
          this.paintLine(item, near.has(item.line.key), item.line.edges.some((edge) => handing.has(edge)));
          continue;
        }
        const box = item.place.box;
        const list = item.element.classList;
        list.toggle('selected', key === selected);
        list.toggle('current', key === current && !item.place.open);
        list.toggle('match', hub.isMatch(box));
        list.toggle('highlighted', Boolean(box.record && box.record.highlighted));
        if (box.isModule) this.paintModule(item, box);
        else this.paintNode(item, box);
        item.button.setAttribute('aria-pressed', String(key === selected));
      }
    }

    paintNode(item, box) {
      const state = this.player.stateOf(box);
      const list = item.element.classList;
      list.toggle('waiting', state === 'waiting');
      list.toggle('partial', state === 'partial');
      list.toggle('without', state === 'none');
      const text = this.player.hasGradients ? (state === 'waiting' || state === 'none' ? '' : `∂ ${Boxes.written(this.player.gradientOf(box), (item.place.w - 26) / 2 - 14)}`) : '';
      const place = item.element.querySelector('.number.gradient');
      const short = Boxes.fit(text, (item.place.w - 26) / 2 - 6, Boxes.SMALL);
      if (place.textContent !== short) {
        place.textContent = short;
        item.button.setAttribute('aria-label', Boxes.speak(box, false, state === 'waiting' ? 'gradient not reached yet' : text && `gradient ${text.slice(2)}`));
      }
      const share = this.player.scale.share(Format.magnitude(this.player.gradientOf(box)));
      const cell = item.element.querySelector('.cell-gradient');
      cell.style.stroke = state === 'waiting' || share === null ? '' : Colours.at('size', share);
    }

    /** A closed module's bar: the gradient of its parameters (else of its output) on the common scale, as it comes in. */
    paintModule(item, box) {
      if (item.place.open) return;
      const progress = this.player.progressOf(box);
      item.element.classList.toggle('waiting', progress === 0);
      const { last } = Model.facts(box);
      const norm = Format.toNumber(box.record.gradient_norm) ?? Format.magnitude(last && last.record.gradient);
      const share = this.player.scale.share(norm);
      const bar = item.element.querySelector('.progress');
      if (box.cls !== 'calls') bar.setAttribute('width', ((item.place.w - 35) * progress * (share === null ? 0 : 0.06 + 0.94 * share)).toFixed(1));
      bar.style.fill = share === null ? '' : Colours.at('size', share);
    }

    paintLine(item, near, handing) {
      const flow = this.player.flowOf(item.line.edges);
      const list = item.element.classList;
      list.toggle('broken', flow.state === 'done' && item.line.edges.some((edge) => broken(this.player.contributionAlong(edge))));
      list.toggle('waiting', flow.state === 'waiting');
      list.toggle('none', flow.state === 'none');
      list.toggle('near', near);
      list.toggle('handing', handing);
      if (item.head) item.head.classList.toggle('handing', handing);
      const share = this.player.scale.share(flow.size);
      const colour = share === null ? '' : Colours.at('size', share);
      item.element.style.setProperty('--flow', colour || 'var(--line)');
      item.element.style.setProperty('--width', share === null ? '1.5' : (1.5 + 5 * share).toFixed(2));
    }
  }

  /** Whether a gradient has entries that are no numbers. */
  function broken(summary) {
    return Boolean(summary && (summary.nan || summary.inf));
  }

  function remove(item) {
    item.element.remove();
    if (item.head) item.head.remove();
  }

  return { View };
})();
