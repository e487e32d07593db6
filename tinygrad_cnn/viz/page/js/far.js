/* The graph from far away: blocks and strokes on a canvas, for thousands of boxes in sight at once. */
'use strict';

const Far = (() => {
  function paint(view, places, lines) {
    const canvas = view.far;
    canvas.hidden = false;
    const pen = canvas.getContext('2d');
    const ratio = window.devicePixelRatio || 1;
    const { x, y, k } = view.at;
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, canvas.width, canvas.height);
    pen.setTransform(k * ratio, 0, 0, k * ratio, x * ratio, y * ratio);
    const thin = 1 / k;

    pen.lineWidth = thin;
    for (const place of places) {
      if (!place.open || place.w * k < 3) continue;
      pen.fillStyle = colour(place.box.depth % 2 ? '--frame-a' : '--frame-b');
      pen.strokeStyle = colour('--frame-line');
      pen.fillRect(place.x, place.y, place.w, place.h);
      pen.strokeRect(place.x, place.y, place.w, place.h);
    }
    const plain = colour('--line');
    for (const line of lines) {
      const e = line.extent;
      if ((e.x1 - e.x0 + e.y1 - e.y0) * k < 2) continue;
      const flow = view.player.flowOf(line.edges);
      const share = view.player.scale.share(flow.size);
      pen.strokeStyle = share === null ? plain : Colours.at('size', share);
      pen.lineWidth = share === null ? thin : thin * (1 + 1.5 * share);
      pen.beginPath();
      line.points.forEach(([px, py], i) => (i ? pen.lineTo(px, py) : pen.moveTo(px, py)));
      pen.stroke();
    }
    const fills = { waiting: colour('--box-waiting'), partial: colour('--gradient-soft'), done: colour('--gradient-fill'), none: colour('--value-fill') };
    const module = colour('--muted');
    for (const place of places) {
      if (place.open) continue;
      pen.fillStyle = place.box.isModule ? module : view.hub.isMatch(place.box) ? colour('--match') : fills[view.player.stateOf(place.box)];
      pen.fillRect(place.x, place.y, Math.max(place.w, thin), Math.max(place.h, thin));
    }
  }

  /** The box under a point of the world: the innermost one. */
  function hit(view, x, y) {
    let best = null;
    for (const place of view.scene.places.values()) {
      if (!place.box.parent || x < place.x || y < place.y || x > place.x + place.w || y > place.y + place.h) continue;
      if (!best || place.box.depth > best.box.depth) best = place;
    }
    return best ? best.box : null;
  }

  return { paint, hit };
})();
