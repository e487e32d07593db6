/* Starts the page: reads the embedded description, makes the parts, and is the hub through which they meet.
 *
 * The hub holds what is selected, hovered and searched for; parts ask it to change that and are told.
 */
'use strict';

(() => {
  const MODES = ['graph', 'table', 'both'];

  function start() {
    const { description, positions } = JSON.parse(Dom.byId('description').textContent);
    Theme.start(description.theme);
    const model = Model.build(description);
    document.title = `${Format.clip(model.title, 80)} · graph`;
    Dom.byId('title').textContent = Format.clip(model.title, 80);
    const player = new Player.Player(model);
    const scene = new Scene.Scene(model, positions);
    const hub = new Hub(model, scene, player);
    window.page = hub; // for the browser's console, and for tests
  }

  class Hub {
    constructor(model, scene, player) {
      Object.assign(this, { model, scene, player, selected: null, hovered: null, matches: null });
      this.view = new View.View(this, model, scene, player);
      this.controls = new Controls.Controls(this, player, this.view);
      this.panel = new Panel.Panel(this, model, player, scene);
      this.table = new Table.Table(this, model, player);
      this.search = new Search.Search(this, model);
      player.onMove(() => this.view.draw());
      this.buttons();
      this.legend();
      Keyboard.attach(this);
      Theme.onChange(() => {
        this.legend();
        this.panel.update(true);
        this.controls.showProduct();
        this.view.rearranged();
      });
      this.setMode('graph');
      this.view.start();
      this.follow(location.hash);
      window.addEventListener('hashchange', () => this.follow(location.hash));
      document.documentElement.dataset.ready = 'true';
    }

    /** Open at a place: `#step=12&node=conv2`, a step of the player, and a box by its name, path or number. */
    follow(hash) {
      const wanted = new URLSearchParams(hash.replace(/^#/, ''));
      const step = wanted.get('step');
      if (step !== null && /^\d+$/.test(step) && this.player.hasSteps) this.controls.go(Number(step));
      const name = wanted.get('node');
      if (!name) return;
      const { nodes, containers, nodeById } = this.model;
      const box = nodeById.get(name) || containers.find((module) => module.parent && (module.path === name || module.name === name)) || nodes.find((node) => node.label === name || node.record.name === name);
      if (box) this.jump(box, { focus: false });
    }

    buttons() {
      const on = (id, work) => Dom.byId(id).addEventListener('click', work);
      on('zoom-in', () => this.view.zoomBy(1.25));
      on('zoom-out', () => this.view.zoomBy(0.8));
      on('fit', () => this.view.fit(true));
      on('expand', () => this.setAll(true));
      on('collapse', () => this.setAll(false));
      on('turn', () => this.turn());
      on('help-open', () => this.help());
      on('help-close', () => Dom.byId('help').close());
      on('panel-close', () => this.select(null));
      for (const mode of MODES) on(`mode-${mode}`, () => this.setMode(mode));
    }

    // --- selection --------------------------------------------------------------------------

    select(box, { focus = false } = {}) {
      this.selected = box || null;
      if (box) this.hovered = null;
      Dom.byId('panel-close').hidden = !box;
      document.body.classList.toggle('has-selection', Boolean(box));
      this.panel.update();
      if (focus && box) this.view.focus(box);
      else this.view.drawNow();
      this.table.showSelected();
    }

    hover(box) {
      if (box === this.hovered) return;
      this.hovered = box || null;
      this.view.draw();
      if (!this.selected) this.panel.update();
    }

    /** Make a box visible, select it, and bring it into the middle. */
    jump(box, { focus = true } = {}) {
      if (this.mode === 'table' && focus) this.setMode('graph');
      if (this.scene.reveal(box)) this.view.rearranged();
      this.select(box, { focus: focus && !this.search.input.contains(document.activeElement) });
      this.view.show(box, true);
      Dom.announce(Boxes.speak(box, this.scene.isOpen(box)));
    }

    /** Select a node and go to the sums of its gradient. */
    showSums(box) {
      this.jump(box, { focus: false });
      const place = Dom.byId('sums');
      if (!place) return;
      place.scrollIntoView({ block: 'start' });
      const first = place.querySelector('canvas, button');
      if (first) first.focus({ preventScroll: true });
    }

    isMatch(box) {
      return this.matches !== null && this.matches.has(box);
    }

    setMatches(matches) {
      this.matches = matches;
      this.table.filter(matches);
      this.view.drawNow();
    }

    // --- modules ----------------------------------------------------------------------------

    toggle(box, { focus = false } = {}) {
      if (!box || !box.parent) return;
      const open = !this.scene.isOpen(box);
      const before = this.scene.places.get(this.scene.visible(box).key);
      const hadFocus = this.view.stage.contains(document.activeElement);
      this.scene.setOpen(box, open);
      this.view.rearranged(box, before);
      if (hadFocus || focus) this.view.focus(box);
      this.panel.update(true);
      Dom.announce(`${Format.clip(box.name, 60)} ${open ? 'opened' : 'closed'}`);
    }

    turn() {
      this.scene.turn();
      this.view.rearranged();
      this.view.start();
      Dom.announce(this.model.horizontal ? 'Drawn from left to right' : 'Drawn from top to bottom');
    }

    setAll(open) {
      this.scene.setAll(open);
      this.view.rearranged();
      // An overview, unless it would be a mere thread.
      this.view.start(0.06);
      this.panel.update(true);
      Dom.announce(open ? 'All modules opened' : 'All modules closed');
    }

    // --- the page ---------------------------------------------------------------------------

    setMode(mode) {
      this.mode = mode;
      document.body.dataset.mode = mode;
      for (const name of MODES) Dom.byId(`mode-${name}`).setAttribute('aria-pressed', String(name === mode));
      this.table.drawNow();
    }

    nextMode() {
      this.setMode(MODES[(MODES.indexOf(this.mode) + 1) % MODES.length]);
    }

    help() {
      Dom.byId('help').showModal();
    }

    /** Which colour and width means which size of gradient. */
    legend() {
      const { scale, hasGradients } = this.player;
      const place = Dom.byId('flow-legend');
      place.hidden = !hasGradients || scale.high === null;
      if (place.hidden) return;
      const ramp = Dom.svg('svg', { viewBox: '0 0 120 12', class: 'flow-ramp', 'aria-hidden': 'true' });
      for (let i = 0; i < 24; i += 1) {
        const h = 1.5 + (5 * i) / 23;
        ramp.append(Dom.svg('rect', { x: 5 * i, y: 6 - h / 2, width: 5.2, height: h, fill: Colours.at('size', i / 23) }));
      }
      place.replaceChildren(Dom.el('span', { class: 'legend-title', text: 'size of gradient (log)' }),
        Dom.el('div', { class: 'legend' }, Dom.el('span', { text: Format.number(scale.low, 2) }), ramp, Dom.el('span', { text: Format.number(scale.high, 2) })));
    }
  }

  start();
})();
