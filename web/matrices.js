// Where the time goes: a matrix product, in WebAssembly (multiply.wat), and convolution as one.

const PAGE = 65536; // bytes of WebAssembly's memory that grow at once
const up = (n, multiple) => Math.ceil(n / multiple) * multiple;

/**
 * @param {BufferSource} bytes multiply.wat, assembled.
 * @returns {Promise<function>} (A, B, M, K, N) -> A (M, K) B (K, N), a Float32Array (M, N); each row after row.
 */
export async function loadMultiply(bytes) {
  const { memory, multiply } = (await WebAssembly.instantiate(bytes)).instance.exports;
  return (A, B, M, K, N) => {
    const [rows, columns] = [up(M, 4), up(N, 8)];
    const [atB, atOut] = [rows * K, (rows + columns) * K];
    const missing = 4 * (atOut + rows * columns) - memory.buffer.byteLength;
    if (missing > 0) memory.grow(Math.ceil(missing / PAGE));
    const floats = new Float32Array(memory.buffer);
    floats.set(A);
    floats.fill(0, M * K, atB);
    for (let k = 0; k < K; k++) floats.set(B.subarray(k * N, (k + 1) * N), atB + k * columns);
    multiply(0, 4 * atB, 4 * atOut, rows, K, columns); // what fills up the columns is never read
    const out = new Float32Array(M * N);
    for (let m = 0; m < M; m++) {
      const row = atOut + m * columns;
      out.set(floats.subarray(row, row + N), m * N);
    }
    return out;
  };
}

/** The patches of an image that a convolution sees: x (C, H, W) -> (C h w, rows columns), 0 outside. */
export function patches(x, [C, H, W], [h, w], [rows, columns], strides, pads) {
  const out = new Float32Array(C * h * w * rows * columns);
  let o = 0;
  for (let c = 0; c < C; c++) {
    for (let i = 0; i < h; i++) {
      for (let j = 0; j < w; j++) {
        for (let row = 0, y = i - pads[0]; row < rows; row++, y += strides[0]) {
          if (y < 0 || y >= H) {
            o += columns;
            continue;
          }
          const start = (c * H + y) * W;
          for (let column = 0, at = j - pads[1]; column < columns; column++, at += strides[1], o++) {
            if (at >= 0 && at < W) out[o] = x[start + at];
          }
        }
      }
    }
  }
  return out;
}
