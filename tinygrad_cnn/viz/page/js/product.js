/* The current step as the multiplication it is: upstream × local → downstream, with numbers and pictures.
 *
 * Builds elements from a step of the player; used in the player's bar and in the side panel.
 */
'use strict';

const Product = (() => {
  /** @param step {node, record, downstream}; `jump(node)` goes to a node. */
  function ofStep(step, player, jump) {
    const rows = step.downstream.map((item) => row(item, player.upstreamOf(step), jump, Boolean(step.record.back)));
    if (!rows.length) rows.push(Dom.el('p', { class: 'end', text: endText(step.node) }));
    return rows;
  }

  function endText(node) {
    const r = node.record;
    if (r.leaf) return `A leaf: its gradient is complete now and is added to .grad. ${gradientText(node)}`;
    return `Nothing to hand on: no input of this node wants a gradient. ${gradientText(node)}`;
  }

  function gradientText(node) {
    const { gradient } = node.record;
    if (!gradient) return '';
    const what = `∂L/∂${Format.clip(node.label, 40)}`;
    const size = Format.brief(gradient);
    return size.startsWith('‖') ? `‖${what}‖ = ${size.slice(1, -1)}` : `${what} = ${size}`;
  }

  /** One edge: a factor card, a factor card, and what comes out; then the sum it joins. */
  function row(item, upstream, jump, back = false) {
    const { edge, before, after } = item;
    const local = edge.record.local || null;
    const contribution = Player.contributionOf(item);
    const target = Format.clip(edge.from.label, 24);
    const cards = Dom.el('div', { class: 'product' },
      card('gradient', 'upstream', '∂L/∂y', upstream),
      Dom.el('span', { class: 'times', text: '×', 'aria-label': 'times' }),
      localCard(local),
      Dom.el('span', { class: 'times', text: '→', 'aria-label': 'gives' }),
      card('gradient', 'downstream', `to ${target}`, contribution),
    );
    const to = Dom.el('button', { class: 'link', type: 'button', on: { click: () => jump(edge.from) }, 'aria-label': `Go to ${target}` },
      Dom.name(target));
    const sum = Dom.el('p', { class: 'sum' }, '∂L/∂', to, ': ');
    if (back) sum.append(before ? `back to ${Format.brief(before)}` : 'taken back');
    else if (before) sum.append(`${Format.brief(before)} + ${Format.brief(contribution)} → ${Format.brief(after)}`);
    else sum.append(`${Format.brief(contribution)} `, Dom.el('span', { class: 'quiet', text: edge.from.outs.length > 1 ? '(first to arrive)' : '' }));
    const sample = edge.record.sample;
    if (sample && !(upstream && Format.isScalar(upstream))) {
      const at = sample.index && sample.index.length ? `[${sample.index.join(', ')}]` : '';
      sum.append(Dom.el('span', { class: 'sample', text: `entry ${at}: ${Format.number(sample.upstream)} × ${Format.number(sample.local)} = ${Format.number(sample.product)}` }));
    }
    return Dom.el('div', { class: 'product-row' }, cards, sum);
  }

  function card(kind, title, symbol, summary) {
    return Dom.el('div', { class: `factor factor-${kind}` },
      Dom.el('span', { class: 'factor-title', text: title }),
      Pictures.thumbnail(summary, `${title}, ${Format.brief(summary)}`),
      Dom.el('span', { class: 'factor-number', data: { role: title }, text: Format.brief(summary) }),
      Dom.el('bdi', { class: 'factor-symbol', text: symbol, title: summary ? Format.shape(summary.shape) : null }));
  }

  function localCard(local) {
    if (!local) return Dom.el('div', { class: 'factor factor-local' }, Dom.el('span', { class: 'factor-title', text: 'local' }), Dom.el('span', { class: 'factor-number', text: '–' }));
    const scalar = local.number !== undefined && local.number !== null;
    const size = local.norm !== undefined && local.norm !== null ? `‖·‖ ${Format.number(local.norm, 3)}` : '';
    const main = scalar ? Format.number(local.number) : local.structure === 'identity' ? '1' : Format.clip(Format.local(local.text || local.structure), 60);
    const under = scalar ? Format.clip(local.numbers || local.text || '', 40) : [local.structure, size].filter(Boolean).join(' · ');
    const words = !scalar && local.structure !== 'identity' && main.length > 6;
    return Dom.el('div', { class: `factor factor-local${words ? ' words' : ''}`, title: Format.local(local.text || '') || null },
      Dom.el('span', { class: 'factor-title', text: 'local' }),
      Pictures.thumbnail(local.factor, `local gradient, ${Format.brief(local.factor)}`),
      Dom.el('span', { class: 'factor-number', data: { role: 'local' }, text: main }),
      Dom.el('span', { class: 'factor-symbol', text: under }));
  }

  return { ofStep, row };
})();
