// What is still to be drawn. The worker gets one at a time; asking again for the same place replaces what waits there, and
// the large digit goes before the sheet. So a drag draws what it shows, not all that it passed.

/**
 * @param {Worker} worker See worker.js.
 * @param {{ready: function, failed: function}} on Called with the preset, or with a sentence that says what failed.
 * @returns {{draw: function}} draw(place, {digit, seed, steps}, done); `done` gets these with pixels and ms.
 */
export function drawings(worker, on) {
  const waiting = new Map();
  let drawing = null;

  function next() {
    if (drawing || !waiting.size) return;
    const place = waiting.has("digit") ? "digit" : waiting.keys().next().value;
    drawing = waiting.get(place);
    waiting.delete(place);
    worker.postMessage({ id: place, ...drawing.asked });
  }

  worker.onmessage = ({ data: { ready, failed, ...drawn } }) => {
    const done = drawing;
    drawing = null;
    if (ready) on.ready(ready);
    else if (failed) on.failed(failed);
    else done.done({ ...done.asked, ...drawn });
    next();
  };
  worker.onerror = (event) => {
    event.preventDefault();
    on.failed("This browser cannot run the page's program: it needs WebAssembly with SIMD, of 2023 or later.");
  };

  return {
    draw(place, asked, done) {
      waiting.delete(place);
      waiting.set(place, { asked, done });
      next();
    },
  };
}
