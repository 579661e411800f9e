// Draws off the page's thread, so that a slider never waits. Says {ready} once, or {failed}; then answers each
// {id, digit, seed, steps} by {id, pixels, ms}, or {id, failed}.

import { draw } from "./drawer.js";
import { loadMultiply } from "./matrices.js";
import { loadNetwork } from "./network.js";

const WARM_UP = 6; // drawings after which the browser has compiled what it runs

async function fetched(name, read) {
  const response = await fetch(new URL(name, import.meta.url)).catch(() => null);
  if (!response?.ok) throw new Error(`${name} could not be loaded${response ? ` (status ${response.status})` : ""}.`);
  return response[read]();
}

async function load() {
  const [preset, network, kernel] = await Promise.all([
    fetched("preset.json", "json"),
    fetched("network.onnx", "arrayBuffer"),
    fetched("multiply.wasm", "arrayBuffer"),
  ]);
  const size = preset.image_shape.reduce((a, b) => a * b);
  const called = loadNetwork(network, preset.image_shape, await loadMultiply(kernel));
  const drawn = (digit, seed, steps) => draw(called, preset.steps[steps], size, digit, seed);
  for (let i = 0; i < WARM_UP; i++) drawn(0, BigInt(i), Object.keys(preset.steps)[0]);
  self.onmessage = ({ data: { id, digit, seed, steps } }) => {
    try {
      const start = performance.now();
      const pixels = drawn(digit, seed, steps);
      self.postMessage({ id, pixels, ms: performance.now() - start });
    } catch (error) {
      self.postMessage({ id, failed: error.message });
    }
  };
  self.postMessage({ ready: preset });
}

load().catch((error) => self.postMessage({ failed: `The page cannot draw. ${error.message}` }));
