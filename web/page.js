// The page: controls in, drawings out. The state (digit, seed, steps) is kept in the address, so that a link shows the
// same digit again.

import { drawings } from "./drawings.js";
import { MAX_SEED } from "./noise.js";

const ROWS = 5; // seeds on the sheet
const $ = (id) => document.getElementById(id);
const state = { digit: 7, seed: 0n, steps: null };
let preset = null;
let saved = null; // the blob behind "Save PNG"

const drawer = drawings(new Worker("worker.js", { type: "module" }), { ready: start, failed: say });

function start(loaded) {
  preset = loaded;
  const [H, W] = preset.image_shape;
  Object.assign($("digit"), { width: W, height: H });
  choices("digits", "digit", Array.from({ length: preset.num_classes }, (_, i) => i));
  choices("steps", "steps", Object.keys(preset.steps).map(Number));
  read(location.hash);
  makeSheet();
  $("message").hidden = true;
  $("controls").querySelector("fieldset").disabled = false;
  show();
}

/** Radio buttons for a field of the state. */
function choices(id, name, values) {
  $(id).replaceChildren(
    ...values.map((value) => {
      const label = document.createElement("label");
      const input = Object.assign(document.createElement("input"), { type: "radio", name, value });
      label.append(input, Object.assign(document.createElement("span"), { textContent: value }));
      return label;
    }),
  );
  $(id).addEventListener("change", (event) => set({ [name]: Number(event.target.value) }));
}

function makeSheet() {
  const tiles = [];
  for (let row = 0; row < ROWS; row++) {
    for (let digit = 0; digit < preset.num_classes; digit++) {
      const button = Object.assign(document.createElement("button"), { type: "button" });
      button.append(Object.assign(document.createElement("canvas"), { width: $("digit").width, height: $("digit").height }));
      button.addEventListener("click", () => set({ digit, seed: seedOf(row) }, { keepSheet: true }));
      tiles.push(button);
    }
  }
  $("grid").style.setProperty("--columns", preset.num_classes);
  $("grid").replaceChildren(...tiles);
}

let firstSeed = null;
const seedOf = (row) => (firstSeed + BigInt(row) > MAX_SEED ? MAX_SEED : firstSeed + BigInt(row));

/** Change the state, and draw what follows from it. */
function set(change, { keepSheet = false } = {}) {
  Object.assign(state, change);
  show({ keepSheet });
}

function show({ keepSheet = false } = {}) {
  for (const name of ["digit", "steps"]) document.querySelector(`input[name="${name}"][value="${state[name]}"]`).checked = true;
  if ($("seed").value !== String(state.seed)) $("seed").value = state.seed;
  $("slider").value = String(state.seed <= 999n ? state.seed : 999n);
  complain("");
  history.replaceState(null, "", `#digit=${state.digit}&seed=${state.seed}&steps=${state.steps}`);
  $("command").textContent =
    `keras_ddpm.sample(${state.digit}, seed=${state.seed}, steps=${state.steps}, preset="${preset.name}")`;
  drawer.draw("digit", { ...state }, showDigit);
  const stale = !keepSheet && (firstSeed !== state.seed || $("grid").dataset.steps !== String(state.steps));
  if (stale) showSheet();
  markTile();
}

function showDigit({ pixels, ms, digit, seed, steps }) {
  const canvas = $("digit");
  paint(canvas, pixels);
  canvas.setAttribute("aria-label", `A ${digit}, seed ${seed}`);
  canvas.dataset.drawn = `${digit} ${seed} ${steps}`;
  $("time").textContent = `Drawn in ${ms.toFixed(1)} ms`;
  canvas.toBlob((blob) => {
    if (saved) URL.revokeObjectURL(saved);
    saved = URL.createObjectURL(blob);
    Object.assign($("save"), { href: saved, download: `digit-${digit}-seed-${seed}.png`, hidden: false });
  });
}

function showSheet() {
  firstSeed = state.seed;
  $("grid").dataset.steps = state.steps;
  [...$("grid").children].forEach((button, i) => {
    const [row, digit] = [Math.floor(i / preset.num_classes), i % preset.num_classes];
    const asked = { digit, seed: seedOf(row), steps: state.steps };
    drawer.draw(`tile ${i}`, asked, ({ pixels }) => {
      paint(button.firstChild, pixels);
      button.title = `${digit}, seed ${asked.seed}`;
      button.setAttribute("aria-label", `Show the ${digit} of seed ${asked.seed}`);
    });
  });
}

function markTile() {
  [...$("grid").children].forEach((button, i) => {
    const here = i % preset.num_classes === state.digit && seedOf(Math.floor(i / preset.num_classes)) === state.seed;
    button.setAttribute("aria-pressed", String(here));
  });
}

/** Grey levels onto a canvas: white ink on black, as the network draws. */
function paint(canvas, pixels) {
  const image = new ImageData(canvas.width, canvas.height);
  pixels.forEach((level, i) => image.data.set([level, level, level, 255], 4 * i));
  canvas.getContext("2d").putImageData(image, 0, 0);
}

/** A seed from text, or null if it is none. */
function parseSeed(text) {
  return /^\d{1,19}$/.test(text.trim()) && BigInt(text) <= MAX_SEED ? BigInt(text) : null;
}

function complain(words) {
  $("seed-error").textContent = words;
  $("seed").setAttribute("aria-invalid", String(Boolean(words)));
}

function say(words) {
  Object.assign($("message"), { textContent: words, hidden: false, className: "error" });
}

/** The state from an address such as #digit=7&seed=42&steps=1; what cannot be used is left as it is. */
function read(hash) {
  const given = new URLSearchParams(hash.slice(1));
  const [digit, seed, steps] = ["digit", "seed", "steps"].map((name) => given.get(name) ?? "");
  if (/^\d$/.test(digit) && Number(digit) < preset.num_classes) state.digit = Number(digit);
  state.seed = parseSeed(seed) ?? state.seed;
  state.steps = Number(steps in preset.steps ? steps : (state.steps ?? Object.keys(preset.steps)[0]));
}

const random = () => set({ seed: BigInt(Math.floor(Math.random() * 2 ** 32)) });

$("seed").addEventListener("input", (event) => {
  const seed = parseSeed(event.target.value);
  if (seed === null) complain(`The seed must be a whole number from 0 to ${MAX_SEED}.`);
  else set({ seed });
});
$("slider").addEventListener("input", (event) => set({ seed: BigInt(event.target.value) }));
$("fresh").addEventListener("click", random);
$("controls").addEventListener("submit", (event) => event.preventDefault());
addEventListener("hashchange", () => {
  if (!preset) return;
  read(location.hash);
  show();
});
addEventListener("keydown", (event) => {
  if (!preset || event.ctrlKey || event.metaKey || event.altKey || event.target === $("seed")) return;
  if (/^\d$/.test(event.key) && Number(event.key) < preset.num_classes) set({ digit: Number(event.key) });
  if (event.key.toLowerCase() === "r") random();
});
