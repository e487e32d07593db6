/* The current step as the multiplication it is: upstream × local → downstream, with numbers and pictures.
 *
 * Builds elements from a step of the player; used in the player's bar and in the side panel.
 */
'use strict';

const Product = (() => {
  /** @param step {node, record, downstream}; `jump(node)` goes to a node, `explain(node)` to its gradient's sums. */
  function ofStep(step, player, jump, explain = null) {
    const rows = step.downstream.map((item) => row(item, player.upstreamOf(step), jump, Boolean(step.record.back), explain));
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
  function row(item, upstream, jump, back = false, explain = null) {
    const { edge, before, after } = item;
    const local = edge.record.local || null;
    const contribution = Player.contributionOf(item);
    const target = Format.clip(edge.from.label, 24);
    const cards = Dom.el('div', { class: 'product' },
      card('gradient', 'upstream', '∂L/∂y', upstream),
      sign(local),
      localCard(local),
      Dom.el('span', { class: 'times', text: exact(local, upstream, contribution) ? '=' : '→', 'aria-label': 'gives' }),
      card('gradient', 'downstream', `to ${target}`, contribution),
    );
    const to = Dom.el('button', { class: 'link', type: 'button', on: { click: () => jump(edge.from) }, 'aria-label': `Go to ${target}` },
      Dom.name(target));
    const sum = Dom.el('p', { class: 'sum' }, '∂L/∂', to, ': ');
    if (back) sum.append(before ? `back to ${Format.brief(before)}` : 'taken back');
    else if (before && after && Format.isScalar(after)) sum.append(`${Format.brief(before)} + ${Format.brief(contribution)} = ${Format.brief(after)}`);
    else if (before) sum.append('added, entry by entry, to what had arrived', caption(after));
    else sum.append(Format.isScalar(contribution || {}) ? `${Format.brief(contribution)} ` : '', Dom.el('span', { class: 'quiet', text: edge.from.outs.length > 1 ? '(first to arrive)' : '' }));
    const sample = edge.record.sample;
    if (sample && !(upstream && Format.isScalar(upstream))) {
      const at = sample.index && sample.index.length ? `[${sample.index.join(', ')}]` : '';
      sum.append(Dom.el('span', { class: 'sample', text: `entry ${at}: ${Format.number(sample.upstream)} × ${Format.number(sample.local)} = ${Format.number(sample.product)}` }));
    }
    if (explain && edge.record.sums) {
      sum.append(' ', Dom.el('button', { class: 'link', type: 'button', text: 'entry by entry', on: { click: () => explain(edge.from) } }));
    }
    return Dom.el('div', { class: 'product-row' }, cards, sum);
  }

  /** What upstream and local are joined by: numbers are multiplied, arrays entry by entry or through a linear map. */
  function sign(local) {
    const [text, spoken] = !local || isNumber(local) ? ['×', 'times'] : ['diagonal', 'identity'].includes(local.structure) ? ['⊙', 'times, entry by entry,'] : ['↦', 'through'];
    return Dom.el('span', { class: 'times', text, 'aria-label': spoken });
  }

  function isNumber(local) {
    return local.number !== undefined && local.number !== null;
  }

  /** Whether the cards state an equation: numbers, or arrays of one shape multiplied entry by entry. */
  function exact(local, upstream, contribution) {
    if (!local || !upstream || !contribution) return false;
    return isNumber(local) || (local.structure === 'diagonal' && String(upstream.shape) === String(contribution.shape));
  }

  /** The norm of an array that is not written out, as what it is: a caption. */
  function caption(summary) {
    return summary && !Format.isScalar(summary) && !Format.entries(summary)
      ? Dom.el('span', { class: 'quiet', text: ` (norm ${Format.brief(summary, 3).replace(/‖/g, '')})` }) : '';
  }

  /** A number, a small array written out, or a picture with its norm under it. */
  function content(summary, title) {
    const rows = Format.entries(summary);
    if (rows) return [Dom.el('span', { class: 'factor-number entries', data: { role: title } }, rows.map((row) => Dom.el('span', { text: row })))];
    if (!summary || Format.isScalar(summary)) return [Dom.el('span', { class: 'factor-number', data: { role: title }, text: Format.brief(summary) })];
    return [
      Pictures.thumbnail(summary, `${title}, norm ${Format.brief(summary)}`),
      Dom.el('span', { class: 'factor-number norm', data: { role: title }, text: `norm ${Format.brief(summary, 3).replace(/‖/g, '')}` }),
    ];
  }

  function card(kind, title, symbol, summary) {
    return Dom.el('div', { class: `factor factor-${kind}` },
      Dom.el('span', { class: 'factor-title', text: title }),
      content(summary, title),
      Dom.el('bdi', { class: 'factor-symbol', text: symbol, title: summary ? Format.shape(summary.shape) : null }));
  }

  function localCard(local) {
    if (!local) return Dom.el('div', { class: 'factor factor-local' }, Dom.el('span', { class: 'factor-title', text: 'local' }), Dom.el('span', { class: 'factor-number', text: '–' }));
    const scalar = isNumber(local);
    const written = local.structure === 'diagonal' && Format.entries(local.factor);
    const size = local.norm !== undefined && local.norm !== null ? `‖·‖ ${Format.number(local.norm, 3)}` : '';
    const main = scalar ? Format.number(local.number) : local.structure === 'identity' ? '1' : Format.clip(Format.local(local.text || local.structure), 60);
    const under = scalar || written ? Format.clip(local.numbers || Format.local(local.text || ''), 40) : size;
    const words = !scalar && !written && local.structure !== 'identity' && main.length > 6;
    return Dom.el('div', { class: `factor factor-local${words ? ' words' : ''}`, title: Format.local(local.text || '') || null },
      Dom.el('span', { class: 'factor-title', text: 'local' }),
      written ? null : Pictures.thumbnail(local.factor, `local gradient, ${Format.brief(local.factor)}`),
      written ? content(local.factor, 'local') : Dom.el('span', { class: 'factor-number', data: { role: 'local' }, text: main }),
      Dom.el('span', { class: 'factor-symbol', text: under }));
  }

  return { ofStep, row };
})();
