/* The whole graph in small, with a frame around what the window shows; a click or a drag goes there.
 *
 * Only there while the graph is larger than the window. The keyboard has its own ways: arrows with Shift, and fit.
 */
'use strict';

const Minimap = (() => {
  const W = 168;
  const H = 112;
  const PAD = 6;

  function attach(view) {
    const canvas = Dom.byId('minimap');
    canvas.width = W;
    canvas.height = H;
    const go = (event) => {
      const r = canvas.getBoundingClientRect();
      const { k, x, y } = plan(view);
      const at = { x: ((event.clientX - r.left) * (W / r.width) - x) / k, y: ((event.clientY - r.top) * (H / r.height) - y) / k };
      view.moveTo({ x: view.size.w / 2 - view.at.k * at.x, y: view.size.h / 2 - view.at.k * at.y, k: view.at.k });
    };
    canvas.addEventListener('pointerdown', (event) => {
      canvas.setPointerCapture(event.pointerId);
      go(event);
    });
    canvas.addEventListener('pointermove', (event) => {
      if (event.buttons) go(event);
    });
  }

  function plan(view) {
    const { w, h } = view.scene.bounds;
    const k = Math.min((W - 2 * PAD) / Math.max(w, 1), (H - 2 * PAD) / Math.max(h, 1));
    return { k, x: (W - k * w) / 2, y: (H - k * h) / 2 };
  }

  function paint(view) {
    const canvas = Dom.byId('minimap');
    const { w, h } = view.scene.bounds;
    const { at, size } = view;
    const whole = at.x >= -2 && at.y >= -2 && at.x + at.k * w <= size.w + 2 && at.y + at.k * h <= size.h + 2;
    canvas.hidden = whole || size.w < 560;
    if (canvas.hidden) return;
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const { k, x, y } = plan(view);
    const pen = canvas.getContext('2d');
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, W, H);
    pen.setTransform(k, 0, 0, k, x, y);
    const least = 1.5 / k; // every box is seen, however small
    for (const place of view.scene.places.values()) {
      if (!place.box.parent) continue;
      pen.fillStyle = colour(place.open ? '--border' : place.box.isModule ? '--muted' : '--line');
      pen.globalAlpha = place.open ? 0.5 : 1;
      pen.fillRect(place.x, place.y, Math.max(place.w, least), Math.max(place.h, least));
    }
    pen.globalAlpha = 1;
    pen.strokeStyle = colour('--focus');
    pen.lineWidth = 1.5 / k;
    pen.strokeRect(-at.x / at.k, -at.y / at.k, size.w / at.k, size.h / at.k);
  }

  return { attach, paint };
})();
