/* Two runs of one graph side by side, where the description carries both. */
'use strict';

const Compare = (() => {
  function section() {
    return null;
  }

  return { section };
})();
