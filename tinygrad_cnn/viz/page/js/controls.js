/* The player's bar: buttons, slider, speed, and the product of the current step under them. */
'use strict';

const Controls = (() => {
  class Controls {
    constructor(hub, player, view) {
      Object.assign(this, { hub, player, view });
      this.timer = null;
      this.slider = Dom.byId('position');
      this.speed = Dom.byId('speed');
      this.slider.max = player.steps.length;
      const on = (id, work) => Dom.byId(id).addEventListener('click', work);
      on('to-start', () => this.go(0));
      on('step-back', () => this.step(-1));
      on('play', () => this.toggle());
      on('step-forward', () => this.step(1));
      on('to-end', () => this.go(player.steps.length));
      this.slider.addEventListener('input', () => this.go(Number(this.slider.value)));
      player.onMove(() => this.update());
      if (!player.hasSteps) this.disable();
      this.update();
    }

    disable() {
      for (const control of document.querySelectorAll('#player button, #player input, #player select')) control.disabled = true;
    }

    get playing() {
      return this.timer !== null;
    }

    /** Move by hand: stops the film, follows the node. */
    go(position) {
      this.pause();
      this.player.seek(position);
      this.follow();
    }

    step(by) {
      this.go(this.player.position + by);
    }

    toggle() {
      if (this.playing) return this.pause();
      if (!this.player.hasSteps) return undefined;
      if (this.player.position >= this.player.steps.length) this.player.seek(0);
      this.timer = 0;
      this.update();
      return this.tick();
    }

    tick() {
      const rate = Number(this.speed.value); // steps a second
      // Above the screen's own pace, several steps go into one picture.
      const pause = Math.max(1000 / rate, 33);
      const several = Math.max(1, Math.round((rate * pause) / 1000));
      this.player.seek(this.player.position + several);
      this.follow();
      if (this.player.position >= this.player.steps.length) return this.pause();
      this.timer = setTimeout(() => this.tick(), pause);
      return undefined;
    }

    pause() {
      if (!this.playing) return;
      clearTimeout(this.timer);
      this.timer = null;
      this.update();
    }

    follow() {
      if (this.player.node) this.view.show(this.player.node);
    }

    update() {
      const { player } = this;
      const { position, steps } = player;
      const play = Dom.byId('play');
      play.setAttribute('aria-label', this.playing ? 'Pause' : 'Play the backward pass');
      play.classList.toggle('playing', this.playing);
      this.slider.value = position;
      const text = this.describe();
      this.slider.setAttribute('aria-valuetext', text);
      Dom.byId('step-count').textContent = player.hasSteps ? `${position} / ${steps.length}` : '–';
      Dom.byId('to-start').disabled = Dom.byId('step-back').disabled = position === 0;
      Dom.byId('to-end').disabled = Dom.byId('step-forward').disabled = position >= steps.length;
      this.showProduct();
      if (!this.playing && document.activeElement !== this.slider) Dom.announce(text);
    }

    describe() {
      const { player } = this;
      if (!player.hasSteps) return 'No backward pass in this graph';
      const step = player.current;
      if (!step) return player.position ? 'The whole backward pass' : 'Before the first step';
      const into = step.downstream.map((d) => `${Format.clip(d.edge.from.label, 40)} receives ${Format.brief(Player.contributionOf(d))}`);
      return [`Step ${player.position} of ${player.steps.length}: ${Format.clip(step.node.label, 60)}`, ...into].join(', ');
    }

    showProduct() {
      const place = Dom.byId('product');
      const step = this.player.current;
      place.classList.toggle('idle', !this.player.moved);
      if (!step) {
        const text = !this.player.hasSteps
          ? 'This graph carries no backward pass that could be played.'
          : this.player.position > 0
            ? `The whole backward pass, all ${Format.plural(this.player.steps.length, 'step')} of it, is shown. Press play to watch it from the loss on, or drag the slider.`
          : `Nothing has flowed back yet. The pass begins with ∂L/∂L = ${Format.brief(this.player.upstreamOf(this.player.steps[0]))}. Press play, or step.`;
        place.replaceChildren(Dom.el('p', { class: 'end', text }));
        return;
      }
      const node = step.node;
      const jump = (box) => this.hub.jump(box);
      place.replaceChildren(
        Dom.el('div', { class: 'product-head' },
          Dom.el('span', { class: 'quiet', text: step.record.back ? 'back over' : 'step of' }),
          Dom.el('button', { class: 'link strong', type: 'button', on: { click: () => jump(node) } }, Dom.name(Format.clip(node.label, 40))),
          step.record.note ? Dom.el('span', { class: 'step-note', text: Format.clip(step.record.note, 120) }) : null,
          node.record.formula ? Dom.el('code', { text: Format.clip(node.record.formula, 70) }) : null),
        Dom.el('div', { class: 'product-rows' }, Product.ofStep(step, this.player, jump, (box) => this.hub.showSums(box))));
    }
  }

  return { Controls };
})();
