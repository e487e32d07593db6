/* Making elements. Text from outside only ever goes through `textContent` and `setAttribute` here, so a name
 * cannot become markup; nothing in these files uses innerHTML.
 */
'use strict';

const Dom = (() => {
  const SVG = 'http://www.w3.org/2000/svg';

  /**
   * An HTML element. `props`: class, text, on (event → handler), data (data-* attributes), or any attribute
   * (null and false leave it out, true sets it empty). Children: elements, strings, null.
   */
  function el(tag, props = {}, ...children) {
    return fill(document.createElement(tag), props, children);
  }

  function svg(tag, props = {}, ...children) {
    return fill(document.createElementNS(SVG, tag), props, children);
  }

  function fill(element, props, children) {
    for (const [key, value] of Object.entries(props)) {
      if (value === null || value === undefined || value === false) continue;
      if (key === 'class') element.setAttribute('class', value);
      else if (key === 'text') element.textContent = value;
      else if (key === 'on') for (const [event, handler] of Object.entries(value)) element.addEventListener(event, handler);
      else if (key === 'data') Object.assign(element.dataset, value);
      else element.setAttribute(key, value === true ? '' : value);
    }
    for (const child of children.flat(Infinity)) if (child !== null && child !== undefined) element.append(child);
    return element;
  }

  /** A name from outside: isolated, so that right-to-left text in it does not reorder its surroundings. */
  function name(text, className = null) {
    return el('bdi', { class: className, dir: 'auto', text });
  }

  const byId = (id) => document.getElementById(id);

  /** At most one call per animation frame, however often it is asked for. */
  function perFrame(work) {
    let waiting = false;
    return () => {
      if (waiting) return;
      waiting = true;
      requestAnimationFrame(() => {
        waiting = false;
        work();
      });
    };
  }

  /** Tell a screen reader what happened, politely. */
  function announce(text) {
    byId('announcer').textContent = text;
  }

  return { el, svg, name, byId, perFrame, announce };
})();
