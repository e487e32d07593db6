/* Keys. One table says what each does; the help dialog shows the same table.
 *
 * Letters and signs work everywhere but in fields one types in. Arrow keys move along edges while a box of the
 * graph has the focus, and step the player while nothing has it.
 */
'use strict';

const Keyboard = (() => {
  const HELP = [
    ['Space', 'play or pause the backward pass'],
    ['n  or  →', 'one step of the backward pass (→ outside the graph)'],
    ['p  or  ←', 'one step back (← outside the graph)'],
    ['Home / End', 'before the first step / after the last'],
    ['↑ ↓ ← →', 'in the graph: along the edges, and to the neighbour beside'],
    ['Enter', 'select the box and show it in the panel'],
    ['o', 'open or close the module (of a node: close its module)'],
    ['e / c', 'open all modules / close all'],
    ['/', 'search (op:relu  module:features  shape:64)'],
    ['+  −  0', 'zoom in, out, fit the whole graph'],
    ['Shift + arrows', 'move the picture'],
    ['r', 'turn: top to bottom, or left to right'],
    ['t', 'graph, table, or both'],
    ['d', 'dark or light'],
    ['Esc', 'let go of the selection, close what is open'],
    ['?', 'this help'],
  ];

  function attach(hub) {
    const { view, controls } = hub;
    const rows = HELP.map(([keys, what]) => Dom.el('div', {}, Dom.el('dt', {}, keys.split(/\s{2}or\s{2}/).map((key, i) => [i ? ' or ' : '', Dom.el('kbd', { text: key })])), Dom.el('dd', { text: what })));
    Dom.byId('help-keys').replaceChildren(...rows);

    const anywhere = {
      ' ': () => controls.toggle(), n: () => controls.step(1), p: () => controls.step(-1),
      '/': () => hub.search.focus(), '+': () => view.zoomBy(1.25), '=': () => view.zoomBy(1.25), '-': () => view.zoomBy(0.8), 0: () => view.fit(true),
      o: () => toggleHere(hub), e: () => hub.setAll(true), c: () => hub.setAll(false), r: () => hub.turn(), t: () => hub.nextMode(), d: () => Theme.toggle(),
      '?': () => hub.help(), Escape: () => hub.select(null), Home: () => controls.go(0), End: () => controls.go(controls.player.steps.length),
    };

    document.addEventListener('keydown', (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || Dom.byId('help').open) return;
      const target = event.target;
      if (target.closest('input:not([type=range]), select, textarea')) return;
      const inGraph = target.closest('#stage') !== null;
      if (event.key.startsWith('Arrow')) {
        if (target.closest('input')) return;
        if (arrows(hub, event, inGraph)) event.preventDefault();
        return;
      }
      // Space and Enter belong to a button that has the focus; so do a slider's own keys.
      const control = target.closest('button, summary, input');
      if (control && [' ', 'Enter'].includes(event.key) && control.id !== 'position') return;
      if (control && ['Home', 'End'].includes(event.key) && control.id === 'position') return;
      if (event.key === 'Enter' && inGraph) {
        const box = hub.model.boxes.get(view.focusKey);
        hub.select(box);
        event.preventDefault();
        return;
      }
      const work = anywhere[event.key.length === 1 ? event.key.toLowerCase() : event.key];
      if (!work) return;
      event.preventDefault();
      work();
    });
  }

  function arrows(hub, event, inGraph) {
    const { view, controls } = hub;
    const [dx, dy] = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] }[event.key];
    if (event.shiftKey) {
      view.panBy(-80 * dx, -80 * dy);
      return true;
    }
    const box = inGraph && hub.model.boxes.get(view.focusKey);
    if (!box) {
      if (!dx || event.target.closest('#panel, #table-frame')) return false;
      controls.step(dx);
      return true;
    }
    const next = neighbour(hub, box, dx, dy);
    if (next) {
      view.focus(next);
      view.show(next);
      if (hub.selected) hub.select(next);
      else hub.hover(next);
    }
    return true;
  }

  /** Along an edge in the main direction; across it, to the nearest box on about the same rank. */
  function neighbour(hub, box, dx, dy) {
    const { scene, model } = hub;
    const here = scene.places.get(box.key);
    const along = model.horizontal ? dx : dy;
    const centre = (place) => ({ x: place.x + place.w / 2, y: place.y + place.h / 2 });
    const from = centre(here);
    if (along) {
      // An open frame leads into itself; from the inside, edges lead out.
      if (here.open && along > 0) return nearest(box.children.map((child) => scene.places.get(child.key)).filter(Boolean), from);
      const lines = (scene.linesAt.get(box.key) || []).filter((line) => (along > 0 ? line.from : line.to) === box);
      return nearest(lines.map((line) => scene.places.get((along > 0 ? line.to : line.from).key)), from);
    }
    const side = model.horizontal ? dy : dx;
    const beside = [];
    for (const place of scene.places.values()) {
      if (place.open || place === here) continue;
      const at = centre(place);
      const [across, off] = model.horizontal ? [at.y - from.y, at.x - from.x] : [at.x - from.x, at.y - from.y];
      if (across * side > 1 && Math.abs(off) < 90) beside.push(place);
    }
    return nearest(beside, from);
  }

  function nearest(places, from) {
    let best = null;
    let least = Infinity;
    for (const place of places) {
      const distance = Math.hypot(place.x + place.w / 2 - from.x, place.y + place.h / 2 - from.y);
      if (distance < least) [best, least] = [place.box, distance];
    }
    return best;
  }

  function toggleHere(hub) {
    const focused = hub.model.boxes.get(hub.view.focusKey);
    const box = hub.view.stage.contains(document.activeElement) && focused ? focused : hub.selected || focused;
    if (!box) return;
    hub.toggle(box.isModule ? box : box.parent);
  }

  return { attach };
})();
