/* Mouse, pen and fingers on the graph: drag to pan, wheel or pinch to zoom, hover, click, double click. */
'use strict';

const Pointer = (() => {
  const SLOP = 4; // pixels a press may wander and still be a click

  function attach(view) {
    const stage = view.stage;
    const fingers = new Map();
    let pressed = null;

    const local = (event) => {
      const r = stage.getBoundingClientRect();
      return { x: event.clientX - r.left, y: event.clientY - r.top };
    };

    const boxAt = (event) => {
      const element = event.target.closest && event.target.closest('[data-key]');
      if (element) return view.model.boxes.get(element.dataset.key);
      if (!view.isFar) return null;
      const { x, y } = local(event);
      return Far.hit(view, (x - view.at.x) / view.at.k, (y - view.at.y) / view.at.k);
    };

    stage.addEventListener('wheel', (event) => {
      event.preventDefault();
      if (event.shiftKey) return view.panBy(-event.deltaY - event.deltaX, 0);
      const { x, y } = local(event);
      const lines = event.deltaMode === 1 ? 18 : event.deltaMode === 2 ? 300 : 1;
      const amount = Math.max(-240, Math.min(240, event.deltaY * lines));
      return view.zoomBy(Math.exp(-amount * (event.ctrlKey ? 0.01 : 0.0016)), x, y);
    }, { passive: false });

    stage.addEventListener('pointerdown', (event) => {
      if (event.button !== 0 || event.target.closest('.overlay')) return;
      fingers.set(event.pointerId, local(event));
      pressed = fingers.size === 1 ? { ...local(event), moved: false, box: boxAt(event), toggle: event.target.closest('[data-toggle]') } : null;
    });

    stage.addEventListener('pointermove', (event) => {
      if (!fingers.has(event.pointerId)) return;
      const before = fingers.get(event.pointerId);
      const now = local(event);
      if (fingers.size === 2) {
        const [other] = [...fingers].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
        const factor = Math.hypot(now.x - other.x, now.y - other.y) / Math.max(1, Math.hypot(before.x - other.x, before.y - other.y));
        view.zoomBy(factor, (now.x + other.x) / 2, (now.y + other.y) / 2);
        view.panBy((now.x - before.x) / 2, (now.y - before.y) / 2);
      } else if (pressed) {
        if (!pressed.moved && Math.hypot(now.x - pressed.x, now.y - pressed.y) < SLOP) return;
        if (!pressed.moved) {
          pressed.moved = true;
          stage.setPointerCapture(event.pointerId);
          stage.classList.add('panning');
        }
        view.panBy(now.x - before.x, now.y - before.y);
      }
      fingers.set(event.pointerId, now);
    });

    const release = (event) => {
      if (!fingers.delete(event.pointerId)) return;
      stage.classList.remove('panning');
      if (event.type === 'pointerup' && pressed && !pressed.moved) {
        if (pressed.toggle) view.hub.toggle(view.model.boxes.get(pressed.toggle.dataset.toggle), { focus: true });
        else view.hub.select(pressed.box, { focus: true });
      }
      pressed = null;
    };
    stage.addEventListener('pointerup', release);
    stage.addEventListener('pointercancel', release);

    stage.addEventListener('dblclick', (event) => {
      const box = boxAt(event);
      if (box && box.isModule && !event.target.closest('[data-toggle]')) view.hub.toggle(box);
    });

    stage.addEventListener('pointerover', (event) => {
      if (event.pointerType !== 'touch' && !fingers.size) view.hub.hover(boxAt(event));
    });
    stage.addEventListener('pointerleave', () => view.hub.hover(null));
    stage.addEventListener('focusin', (event) => {
      const element = event.target.closest('[data-key]');
      if (element) view.focusKey = element.dataset.key;
    });
  }

  return { attach };
})();
