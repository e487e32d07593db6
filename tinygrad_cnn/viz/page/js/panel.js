/* The side panel: everything known of the node or module that is selected (or hovered, while none is). */
'use strict';

const Panel = (() => {
  class Panel {
    constructor(hub, model, player, scene) {
      Object.assign(this, { hub, model, player, scene });
      this.place = Dom.byId('panel-body');
      this.shown = undefined;
      player.onMove(() => this.update(true));
      this.update(true);
    }

    /** Show what is selected, else what is hovered, else the player's node, else the graph as a whole. */
    update(again = false) {
      const box = this.hub.selected || this.hub.hovered || this.player.node;
      if (box === this.shown && !again) return;
      const same = box === this.shown;
      this.shown = box;
      const scroller = this.place.parentElement;
      const at = scroller.scrollTop;
      this.place.replaceChildren(...(box ? (box.isModule ? this.module(box) : this.node(box)) : this.graph()).filter(Boolean));
      scroller.scrollTop = same ? at : 0;
    }

    // --- a node -----------------------------------------------------------------------------

    node(box) {
      const r = box.record;
      return [
        this.head(box, Boxes.opOf(r) || null, this.chips(r)),
        r.change ? Compare.section(this.model, r) : null,
        this.formula(box),
        this.tensor('Value', 'value', r.value, r),
        this.gradient(box),
        this.player.stateOf(box) === 'waiting' ? null : Sums.gradient(box, (to) => this.hub.jump(to)),
        Sums.value(box),
        this.inputs(box),
        this.outputs(box),
        this.details(r),
        this.source(r.source),
      ];
    }

    head(box, under, chips) {
      const path = Model.ancestors(box);
      const crumbs = path.map((module) => Dom.el('li', {}, this.goTo(module, module.name)));
      return Dom.el('header', { class: 'panel-head' },
        path.length ? Dom.el('ol', { class: 'crumbs', 'aria-label': 'Module path' }, crumbs) : null,
        Dom.el('h2', {}, longName(box.isModule ? box.name : box.label)),
        under ? Dom.el('p', { class: 'quiet', text: under }) : null,
        chips.length ? Dom.el('ul', { class: 'chips', 'aria-label': 'Properties' }, chips) : null);
    }

    chips(r) {
      const chips = [
        [r.kept === false ? 'not kept: no gradient needs its value' : Format.shape(r.shape), 'mono'], [r.dtype, 'mono'],
        [r.loss ? 'loss' : null, 'chip-loss'], [r.parameter ? 'parameter' : r.op === 'constant' ? 'constant' : r.leaf ? 'input' : r.kind, null],
        [r.alarm ? `contains ${r.alarm}` : null, 'chip-alarm'],
      ];
      return chips.filter(([text]) => text).map(([text, kind]) => Dom.el('li', { class: kind, text }));
    }

    formula(box) {
      const r = box.record;
      if (!r.formula) return null;
      return section('Formula',
        Dom.el('pre', { class: 'formula', tabindex: 0, 'aria-label': 'Formula' },
          Dom.el('code', { class: 'formula-line', text: r.formula }),
          r.numbers ? Dom.el('code', { class: 'formula-line numbers', text: r.numbers }) : null,
          r.local_formula ? Dom.el('code', { class: 'formula-line local', text: r.local_formula.split('; ').join('\n') }) : null));
    }

    /** A value or a gradient: number, picture, histogram and statistics. */
    tensor(title, kind, summary, r, whole = false) {
      if (!summary) return null;
      const signed = kind === 'gradient';
      const what = `${title} of ${Format.clip(r.label || r.op, 60)}`;
      const parts = [];
      if (Format.isScalar(summary)) parts.push(Dom.el('p', { class: `big-number ${kind}`, text: Format.number(summary.scalar, 7) }));
      else if (summary.data && summary.n > 1) parts.push(Pictures.matrix(summary, what, signed));
      else if (summary.image && !(signed && whole)) parts.push(Pictures.heatMap(summary, what));
      if (!Format.isScalar(summary) && summary.n > 1) {
        if (summary.histogram) parts.push(Pictures.histogram(summary.histogram, what, kind));
        parts.push(Pictures.statistics(summary));
      }
      if (summary.n === 0) parts.push(Dom.el('p', { class: 'quiet', text: 'An array without entries.' }));
      return Dom.el('section', { class: `panel-section tensor-${kind}` }, Dom.el('h3', { text: title }), parts);
    }

    gradient(box) {
      const { player } = this;
      const state = player.stateOf(box);
      const title = box.record.loss ? 'Gradient ∂L/∂L' : `Gradient ∂L/∂${Format.clip(box.label, 28)}`;
      if (state === 'none') return player.hasGradients ? section('Gradient', quiet('No gradient flows here.')) : null;
      if (state === 'waiting') return section(title, quiet('Not reached yet at this step of the backward pass.'));
      const arrived = player.gradientOf(box);
      if (state === 'partial' && player.hasSteps) {
        const part = this.tensor(title, 'gradient', arrived, box.record);
        if (part) part.append(quiet(box.outs.length > 1 ? 'The sum of what has arrived so far.' : 'Arrived; the node has not handed it on yet.'));
        return part;
      }
      // At the end of a step the full record, with picture and histogram, is what the node multiplied with.
      const step = player.current && player.current.node === box ? player.current.record.upstream : null;
      return this.tensor(title, 'gradient', step || richer(box.record.gradient, arrived), box.record, Sums.covers(box));
    }

    inputs(box) {
      const edges = box.ins.slice().sort((a, b) => a.index - b.index);
      if (!edges.length) return null;
      const rows = edges.slice(0, 24).map((edge) => {
        const contribution = this.player.contributionAlong(edge);
        const rest = contribution
          ? Product.row({ edge, contribution }, this.player.gradientOf(box), (to) => this.hub.jump(to)).querySelector('.product')
          : Dom.el('p', { class: 'quiet', text: edge.record.local ? `local gradient ${localText(edge.record.local)}` : 'no gradient is wanted here' });
        return Dom.el('li', {}, Dom.el('div', { class: 'input-name' }, this.goTo(edge.from), Dom.el('span', { class: 'mono quiet', text: Boxes.shapeOf(edge.from.record) })), rest);
      });
      return section('Inputs: upstream × local → downstream', Dom.el('ol', { class: 'inputs' }, rows),
        edges.length > 24 ? quiet(`and ${edges.length - 24} more inputs`) : null);
    }

    outputs(box) {
      if (!box.outs.length) return null;
      const rows = box.outs.slice(0, 24).map((edge) => Dom.el('li', {}, this.goTo(edge.to),
        edge.record.contribution ? Dom.el('span', { class: 'mono gradient-text', text: ` ∂ ${Format.brief(edge.record.contribution)}` }) : null));
      return section('Used by', Dom.el('ul', { class: 'used-by' }, rows),
        box.outs.length > 24 ? quiet(`and ${box.outs.length - 24} more nodes`) : null);
    }

    details(r) {
      const params = Object.entries(r.params || {});
      if (!params.length) return null;
      return section('Settings', Dom.el('dl', { class: 'settings' }, params.map(([key, text]) =>
        Dom.el('div', {}, Dom.el('dt', {}, Dom.name(key)), Dom.el('dd', { class: 'mono' }, Dom.name(String(text)))))));
    }

    source(source) {
      if (!source) return null;
      return section('Made at',
        Dom.el('p', { class: 'where' }, Dom.name(`${source.file}:${source.line}`, 'mono'),
          source.function ? Dom.el('span', { class: 'quiet' }, ' in ', Dom.name(source.function)) : null),
        source.text ? Dom.el('pre', { class: 'source', tabindex: 0, 'aria-label': 'Source line' }, Dom.el('code', { text: source.text })) : null);
    }

    // --- a module ---------------------------------------------------------------------------

    module(box) {
      const open = this.scene.isOpen(box);
      const chips = [Format.plural(box.size, 'node'), box.record.parameters ? `${Format.count(box.record.parameters)} parameters` : null]
        .filter(Boolean).map((text) => Dom.el('li', { text }));
      const norm = box.record.gradient_norm;
      const inside = box.children.slice(0, 200).map((child) => Dom.el('li', {}, this.goTo(child), Dom.el('span', { class: 'quiet', text: child.isModule ? ` ${child.cls}` : ` ${child.record.op}` })));
      return [
        this.head(box, { group: 'group of consecutive nodes', calls: 'calls of one module, or like nodes' }[box.cls] || box.cls, chips),
        box.parent ? Dom.el('p', {}, Dom.el('button', { class: 'button', type: 'button', text: open ? 'Close this module' : 'Open this module', on: { click: () => this.hub.toggle(box) } })) : null,
        box.cls === 'calls' ? this.calls(box) : null,
        norm !== undefined && norm !== null ? section('Gradient of its parameters', Dom.el('p', { class: 'big-number gradient', text: `‖${Format.number(norm)}‖` })) : null,
        section('Backward pass here', Dom.el('p', { text: `${Math.round(100 * this.player.progressOf(box))} % of the nodes are done.` })),
        section('Inside', Dom.el('ul', { class: 'used-by' }, inside), box.children.length > 200 ? quiet(`and ${box.children.length - 200} more`) : null),
      ];
    }

    /** Rolled-up calls: how the gradient grows or vanishes from call to call, with a slider over them. */
    calls(box) {
      const sizes = Model.overCalls(box);
      const scale = Colours.sizeScale(sizes);
      const readout = Dom.el('p', { class: 'mono', 'aria-live': 'polite' });
      const go = Dom.el('button', { class: 'link', type: 'button', on: { click: () => this.hub.jump(box.children[slider.value - 1]) } });
      const bars = sizes.map((size) => {
        const bar = Dom.el('span', { class: 'call-bar' });
        bar.style.height = `${4 + 60 * (scale.share(size) ?? 0)}px`;
        return bar;
      });
      const slider = Dom.el('input', { type: 'range', min: 1, max: sizes.length, value: sizes.length, 'aria-label': 'Call', class: 'call-slider', on: { input: () => tell() } });
      const tell = () => {
        const t = Number(slider.value);
        bars.forEach((bar, i) => bar.classList.toggle('chosen', i === t - 1));
        readout.textContent = `t = ${t}: ‖∂L/∂h‖ = ${Format.number(sizes[t - 1], 4)}`;
        go.textContent = `go to ${Format.clip(box.children[t - 1].name || box.children[t - 1].label, 40)}`;
      };
      tell();
      return section('Gradient at the result of each call', Dom.el('div', { class: 'call-bars', 'aria-hidden': 'true' }, bars), slider, readout, Dom.el('p', {}, go));
    }

    // --- the graph as a whole -----------------------------------------------------------------

    graph() {
      const { model, player } = this;
      const losses = model.nodes.filter((node) => node.record.loss && node.record.value).slice(0, 12);
      const notes = (model.description.notes || []).map((text) => Dom.el('p', { class: 'note', text }));
      const rows = [
        ['nodes', Format.count(model.nodes.length)], ['edges', Format.count(model.edges.length)],
        ['modules', Format.count(model.containers.length - 1)], ['backward steps', Format.count(player.steps.length)],
      ];
      return [
        Dom.el('header', { class: 'panel-head' }, Dom.el('h2', {}, longName(model.title))),
        Dom.el('dl', { class: 'statistics' }, rows.map(([term, text]) => Dom.el('div', {}, Dom.el('dt', { text: term }), Dom.el('dd', { text })))),
        losses.length ? section(losses.length > 1 ? 'Outputs; L is their sum' : 'Output L', losses.map((loss) => [
          Dom.el('p', { class: 'big-number value', text: Format.brief(loss.record.value, 6) }), Dom.el('p', {}, this.goTo(loss))])) : null,
        notes.length ? section('Notes', notes) : null,
        section('How to read it', Dom.el('ul', { class: 'key' },
          keyRow('value', 'What flowed forward: the number, or the Euclidean norm ‖·‖ of an array.'),
          keyRow('local', 'The local gradient: how much the output moves with this input. A linear one is written as what it makes of g, the upstream gradient.'),
          model.compare ? keyRow('none', `+ added, − removed, ≠ changed from “${Format.clip(String(model.sides[0]), 30)}” to “${Format.clip(String(model.sides[1]), 30)}”; numbers are those of the latter.`) : null,
          keyRow('gradient', '∂: what flowed back, upstream × local. Thicker lines carry larger gradients.')),
          Dom.el('h3', { text: 'A box’s edge tells its kind' }),
          Dom.el('ul', { class: 'key kinds' }, KINDS.filter(([kind]) => model.nodes.some((node) => Boxes.role(node) === kind))
            .map(([kind, text]) => keyRow(`kind-${kind}`, text))),
          Dom.el('p', { class: 'quiet', text: 'Point at a box to look into it, click to keep it here. Press ? for the keys.' })),
      ];
    }

    goTo(box, text = null) {
      const label = Format.clip(text || (box.isModule ? box.name : box.label), 60);
      return Dom.el('button', { class: 'link', type: 'button', on: { click: () => this.hub.jump(box) } }, Dom.name(label));
    }
  }

  const KINDS = [
    ['parameter', 'parameter (tinted box)'], ['input', 'input that wants a gradient'], ['constant', 'input that wants none (dashed)'],
    ['elementwise', 'elementwise operation'], ['multilinear', 'linear operation'], ['general', 'other operation'], ['loss', 'the output'],
  ];

  /** Names of up to a line whole, longer ones folded: the full text is always here. */
  function longName(text) {
    if (text.length <= 120) return Dom.name(text);
    return Dom.el('details', { class: 'long' }, Dom.el('summary', {}, Dom.name(Format.clip(text, 100)), Dom.el('span', { class: 'quiet', text: ` (${Format.count(text.length)} characters)` })), Dom.name(text, 'whole'));
  }

  /** The record with the picture, unless something else was recorded on the way. */
  function richer(full, arrived) {
    if (!full) return arrived;
    if (!arrived) return full;
    return Format.magnitude(full) === Format.magnitude(arrived) ? full : arrived;
  }

  function localText(local) {
    return local.number !== undefined && local.number !== null ? Format.number(local.number) : `${Format.local(local.text || '')} (${local.structure})`;
  }

  function section(title, ...content) {
    return Dom.el('section', { class: 'panel-section' }, Dom.el('h3', { text: title }), content);
  }

  function quiet(text) {
    return Dom.el('p', { class: 'quiet', text });
  }

  function keyRow(kind, text) {
    return Dom.el('li', {}, Dom.el('span', { class: `swatch swatch-${kind}`, 'aria-hidden': 'true' }), text);
  }

  return { Panel };
})();
