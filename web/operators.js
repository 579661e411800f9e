// The ONNX operators of our networks. Each is a function (inputs, attributes, number of outputs) -> outputs, of tensors
// {shape, data}; whole numbers are kept as float64. https://onnx.ai/onnx/operators

import { patches } from "./matrices.js";

const count = (shape) => shape.reduce((a, b) => a * b, 1);
const strides = (shape) => shape.map((_, i) => count(shape.slice(i + 1)));
const place = (axis, rank) => (axis < 0 ? axis + rank : axis);

/** One output for each element of the input. */
function elementwise(f) {
  return ([{ shape, data }]) => {
    const out = new Float32Array(data.length);
    for (let i = 0; i < out.length; i++) out[i] = f(data[i]);
    return [{ shape, data: out }];
  };
}

/** Two tensors, sizes of 1 repeated. `row` computes n elements, at steps of `p` and `q`: a call an element is slow. */
function pairwise(row) {
  return ([a, b]) => {
    const rank = Math.max(a.shape.length, b.shape.length, 1);
    const [shapeA, shapeB] = [a, b].map(({ shape }) => [...Array(rank - shape.length).fill(1), ...shape]);
    const shape = shapeA.map((size, i) => (size === 1 ? shapeB[i] : size));
    const [stepsA, stepsB] = [shapeA, shapeB].map((s) => strides(s).map((step, i) => (s[i] === 1 ? 0 : step)));
    const out = new Float32Array(count(shape));
    let o = 0;
    const fill = (axis, i, j) => {
      const [size, p, q] = [shape[axis], stepsA[axis], stepsB[axis]];
      if (axis < rank - 1) for (let n = 0; n < size; n++) fill(axis + 1, i + n * p, j + n * q);
      else row(out, o, (o += size), a.data, i, p, b.data, j, q);
    };
    fill(0, 0, 0);
    return [{ shape, data: out }];
  };
}

const add = pairwise((out, o, end, a, i, p, b, j, q) => {
  for (; o < end; o++, i += p, j += q) out[o] = a[i] + b[j];
});
const subtract = pairwise((out, o, end, a, i, p, b, j, q) => {
  for (; o < end; o++, i += p, j += q) out[o] = a[i] - b[j];
});
const times = pairwise((out, o, end, a, i, p, b, j, q) => {
  for (; o < end; o++, i += p, j += q) out[o] = a[i] * b[j];
});
const less = pairwise((out, o, end, a, i, p, b, j, q) => {
  for (; o < end; o++, i += p, j += q) out[o] = a[i] < b[j] ? 1 : 0;
});

/** The elements of `data` at `start + sum of steps`, in the order of the output's shape. */
function gather(data, shape, steps, start = 0) {
  const out = new data.constructor(count(shape));
  let o = 0;
  const fill = (axis, i) => {
    const [size, step] = [shape[axis] ?? 1, steps[axis] ?? 0];
    if (axis >= shape.length - 1) for (let n = 0; n < size; n++, i += step) out[o++] = data[i];
    else for (let n = 0; n < size; n++, i += step) fill(axis + 1, i);
  };
  fill(0, start);
  return { shape, data: out };
}

function slice([{ shape, data }, starts, ends, axes, steps]) {
  const [out, moves] = [[...shape], strides(shape)];
  let start = 0;
  starts.data.forEach((first, i) => {
    const axis = place(axes ? axes.data[i] : i, shape.length);
    if (steps && steps.data[i] !== 1) throw new Error("Slice: this page knows steps of 1 alone.");
    const clip = (at) => Math.min(Math.max(at < 0 ? at + shape[axis] : at, 0), shape[axis]);
    out[axis] = Math.max(0, clip(ends.data[i]) - clip(first));
    start += clip(first) * moves[axis];
  });
  return [out.every((size, i) => size === shape[i]) ? { shape, data } : gather(data, out, moves, start)];
}

function split([{ shape, data }, sizes], { axis = 0 }, outputs) {
  const [at, moves] = [place(axis, shape.length), strides(shape)];
  let start = 0;
  return Array.from({ length: outputs }, (_, i) => {
    const size = sizes ? sizes.data[i] : shape[at] / outputs;
    const part = gather(data, shape.with(at, size), moves, start * moves[at]);
    start += size;
    return part;
  });
}

function concat(parts, { axis }) {
  const at = place(axis, parts[0].shape.length);
  const outer = count(parts[0].shape.slice(0, at));
  const shape = parts[0].shape.with(at, parts.reduce((sum, part) => sum + part.shape[at], 0));
  const out = new parts[0].data.constructor(count(shape));
  for (let row = 0, o = 0; row < outer; row++) {
    for (const { data } of parts) {
      const size = data.length / outer;
      out.set(data.subarray(row * size, (row + 1) * size), o);
      o += size;
    }
  }
  return [{ shape, data: out }];
}

function reshape([{ shape, data }, wanted]) {
  const sizes = Array.from(wanted.data, (size, i) => (size === 0 ? shape[i] : size));
  const known = sizes.reduce((product, size) => (size === -1 ? product : product * size), 1);
  return [{ shape: sizes.map((size) => (size === -1 ? data.length / known : size)), data }];
}

function transpose([{ shape, data }], { perm }) {
  const moves = strides(shape);
  return [gather(data, perm.map((axis) => shape[axis]), perm.map((axis) => moves[axis]))];
}

function tile([{ shape, data }, repeats]) {
  let found = { shape, data };
  repeats.data.forEach((n, axis) => {
    if (n !== 1) [found] = concat(Array(n).fill(found), { axis });
  });
  return [found];
}

/** Mean over some axes, which are moved to the end first. */
function reduceMean([{ shape, data }], { axes, keepdims = 1 }) {
  const gone = axes.map((axis) => place(axis, shape.length));
  const kept = shape.map((_, axis) => axis).filter((axis) => !gone.includes(axis));
  const [rows] = transpose([{ shape, data }], { perm: [...kept, ...gone] });
  const size = count(gone.map((axis) => shape[axis]));
  const out = new Float32Array(data.length / size);
  for (let row = 0; row < out.length; row++) {
    let sum = 0;
    for (let i = row * size; i < (row + 1) * size; i++) sum += rows.data[i];
    out[row] = sum / size;
  }
  const left = keepdims ? shape.map((size, axis) => (gone.includes(axis) ? 1 : size)) : kept.map((axis) => shape[axis]);
  return [{ shape: left, data: out }];
}

function softmax([{ shape, data }], { axis = -1 }) {
  if (place(axis, shape.length) !== shape.length - 1) throw new Error("Softmax: this page knows the last axis alone.");
  const [size, out] = [shape.at(-1), new Float32Array(data.length)];
  for (let start = 0; start < data.length; start += size) {
    const row = data.subarray(start, start + size);
    const most = row.reduce((a, b) => Math.max(a, b));
    let sum = 0;
    for (let i = 0; i < size; i++) sum += out[start + i] = Math.exp(row[i] - most);
    for (let i = 0; i < size; i++) out[start + i] /= sum;
  }
  return [{ shape, data: out }];
}

/** Products of the last two axes; the right side may be one matrix for all. */
function matMul(multiply, [a, b]) {
  const [M, K] = a.shape.slice(-2);
  const N = b.shape.at(-1);
  const batch = count(a.shape.slice(0, -2));
  const out = new Float32Array(batch * M * N);
  for (let i = 0; i < batch; i++) {
    const right = b.shape.length === 2 ? b.data : b.data.subarray(i * K * N, (i + 1) * K * N);
    out.set(multiply(a.data.subarray(i * M * K, (i + 1) * M * K), right, M, K, N), i * M * N);
  }
  return [{ shape: [...a.shape.slice(0, -1), N], data: out }];
}

function gemm(multiply, [a, b, c], { transA = 0, transB = 0 }) {
  if (transA || transB) throw new Error("Gemm: this page knows matrices that are not transposed.");
  const product = matMul(multiply, [a, b]);
  return c ? add([...product, c]) : product;
}

/** Of one image: x (1, C, H, W), w (O, C, h, w), bias (O,) -> (1, O, H', W'). */
function conv(multiply, [x, w, bias], { strides: steps = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1], group = 1 }) {
  if (group !== 1 || dilations.some((d) => d !== 1)) throw new Error("Conv: this page knows one group, not dilated.");
  const [[, ...image], [O, , ...kernel]] = [x.shape, w.shape];
  const sizes = kernel.map((size, i) => Math.floor((image[i + 1] + pads[i] + pads[i + 2] - size) / steps[i]) + 1);
  const seen = patches(x.data, image, kernel, sizes, steps, pads);
  const product = { shape: [1, O, ...sizes], data: multiply(w.data, seen, O, w.data.length / O, count(sizes)) };
  return bias ? add([product, { shape: [O, 1, 1], data: bias.data }]) : [product];
}

function oneHot([indices, depth, values]) {
  const size = depth.data[0];
  const out = new Float32Array(indices.data.length * size).fill(values.data[0]);
  indices.data.forEach((index, i) => {
    if (index >= 0 && index < size) out[i * size + index] = values.data[1];
  });
  return [{ shape: [...indices.shape, size], data: out }];
}

function unsqueeze([{ shape, data }, axes]) {
  const rank = shape.length + axes.data.length;
  const added = Array.from(axes.data, (axis) => place(axis, rank));
  const sizes = shape.values();
  return [{ shape: Array.from({ length: rank }, (_, i) => (added.includes(i) ? 1 : sizes.next().value)), data }];
}

function squeeze([{ shape, data }, axes]) {
  const gone = axes ? Array.from(axes.data, (axis) => place(axis, shape.length)) : null;
  return [{ shape: shape.filter((size, i) => !(gone ? gone.includes(i) : size === 1)), data }];
}

/**
 * The operators by their names in ONNX.
 *
 * @param {function} multiply See matrices.js.
 */
export const operators = (multiply) => ({
  Add: add,
  Sub: subtract,
  Mul: times,
  Less: less,
  Neg: elementwise((a) => -a),
  Sqrt: elementwise(Math.sqrt),
  Reciprocal: elementwise((a) => 1 / a),
  Sigmoid: elementwise((a) => 1 / (1 + Math.exp(-a))),
  Sin: elementwise(Math.sin),
  Cos: elementwise(Math.cos),
  Cast: ([tensor]) => [tensor], // labels and comparisons: whole numbers whatever their type
  Conv: (...given) => conv(multiply, ...given),
  Gemm: (...given) => gemm(multiply, ...given),
  MatMul: (...given) => matMul(multiply, ...given),
  ReduceMean: reduceMean,
  Softmax: softmax,
  Reshape: reshape,
  Transpose: transpose,
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  Slice: slice,
  Split: split,
  Concat: concat,
  Tile: tile,
  OneHot: oneHot,
});
