// The noise of keras_ddpm/noise.py: Threefry-2x32 with 20 rounds, then Box-Muller. A seed and a step give the same
// numbers here and in Python.

const ROTATIONS = [[13, 15, 26, 6], [17, 29, 16, 24]];
const PARITY = 0x1bd11bda;
const f32 = Math.fround;
const TWO_PI = f32(2 * Math.PI);

/** Largest seed, 2^63 - 1. */
export const MAX_SEED = 2n ** 63n - 1n;

/** A seed, a BigInt in 0 ... 2^63 - 1, as a pair of 32-bit keys: high and low half. */
export function splitSeed(seed) {
  return [Number(seed >> 32n), Number(seed & 0xffffffffn)];
}

/** Two blocks of 32 random bits, unsigned, of a pair of keys and a pair of counters. */
export function threefry([k0, k1], [c0, c1]) {
  const keys = [k0 | 0, k1 | 0, k0 ^ k1 ^ PARITY];
  let x = (c0 + keys[0]) | 0;
  let y = (c1 + keys[1]) | 0;
  for (let i = 0; i < 5; i++) {
    for (const bits of ROTATIONS[i % 2]) {
      x = (x + y) | 0;
      y = ((y << bits) | (y >>> (32 - bits))) ^ x;
    }
    x = (x + keys[(i + 1) % 3]) | 0;
    y = (y + keys[(i + 2) % 3] + i + 1) | 0;
  }
  return [x >>> 0, y >>> 0];
}

/** Standard normal noise, Float32Array of `size`: step 0 is x_T, k the noise of the k-th step. */
export function normal(key, step, size) {
  const pairs = (size + 1) >> 1;
  const z = new Float32Array(2 * pairs);
  for (let pixel = 0; pixel < pairs; pixel++) {
    const [x, y] = threefry(key, [pixel, step]);
    const radius = f32(Math.sqrt(f32(-2 * f32(Math.log(1 - unit(x))))));
    const angle = f32(TWO_PI * unit(y));
    z[pixel] = radius * f32(Math.cos(angle));
    z[pairs + pixel] = radius * f32(Math.sin(angle));
  }
  return z.subarray(0, size);
}

/** 32 random bits as a number in [0, 1), a multiple of 2^-24. */
function unit(x) {
  return (x >>> 8) * 2 ** -24;
}
