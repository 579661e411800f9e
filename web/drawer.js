// Drawing: the loop of keras_ddpm/runtimes/drawer.py around a network, over the table of steps that the build wrote.
//
//     x_T = temperature noise_0
//     x_0 = clip(from_x x_t + from_y y);  x_s = a x_t + b x_0 + c x_0' + d noise_k

import { normal, splitSeed } from "./noise.js";

/**
 * Grey levels of one image, row after row.
 *
 * @param {function} network (x_t, t, label) -> y, see network.js.
 * @param {object} steps Table of `keras_ddpm.runtimes.steps.Steps`: t, from_x, from_y and columns, one for each step;
 *     and the temperature.
 * @param {number} size Numbers in an image: H W C.
 * @param {number} digit
 * @param {bigint} seed 0 ... 2^63 - 1.
 * @returns {Uint8ClampedArray}
 */
export function draw(network, steps, size, digit, seed) {
  const key = splitSeed(seed);
  let x_t = normal(key, 0, size).map((value) => steps.temperature * value);
  let before = null;
  steps.columns.forEach(([a, b, c, d], i) => {
    const y = network(x_t, steps.t[i], digit);
    const x_0 = y.map((value, n) => Math.min(1, Math.max(-1, steps.from_x[i] * x_t[n] + steps.from_y[i] * value)));
    const noise = d ? normal(key, i + 1, size) : null;
    x_t = x_0.map((value, n) => b * value + (a && a * x_t[n]) + (c && c * before[n]) + (d && d * noise[n]));
    before = x_0;
  });
  return Uint8ClampedArray.from(x_t, (value) => Math.round((Math.min(1, Math.max(-1, value)) + 1) * 127.5));
}
