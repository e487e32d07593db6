/* Light or dark: the system's choice, until the reader makes one. The description may ask for either, too. */
'use strict';

const Theme = (() => {
  const system = window.matchMedia('(prefers-color-scheme: dark)');
  const listeners = [];
  let chosen = null;
  let printing = false;

  function start(wanted) {
    if (wanted === 'light' || wanted === 'dark') chosen = wanted;
    system.addEventListener('change', apply);
    Dom.byId('theme').addEventListener('click', toggle);
    apply();
  }

  function toggle() {
    chosen = document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark';
    apply();
  }

  /** Paper is light, whatever the screen is. */
  function paper(on) {
    printing = on;
    apply();
  }

  function apply() {
    const dark = !printing && (chosen ? chosen === 'dark' : system.matches);
    document.documentElement.dataset.theme = dark ? 'dark' : 'light';
    Dom.byId('theme').setAttribute('aria-pressed', String(dark));
    for (const listener of listeners) listener();
  }

  return { start, toggle, paper, onChange: (listener) => listeners.push(listener) };
})();
