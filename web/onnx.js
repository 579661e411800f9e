// Reads what is needed of an ONNX file: the nodes of its graph, in the order to compute them, and its constants.
// ONNX is protobuf: fields of (number, wire type, value). https://onnx.ai/onnx/repo-docs/IR.html

const FLOAT = 1, INT32 = 6, INT64 = 7, BOOL = 9;

/**
 * @param {ArrayBuffer} buffer Content of a .onnx file.
 * @returns {{nodes: object[], constants: Map, output: string}} Each node is {op, inputs, outputs, attributes}; a
 *     constant is a tensor {shape, data}.
 */
export function readGraph(buffer) {
  const model = only(fields(new Uint8Array(buffer)), 7);
  if (!model) throw new Error("The network's file holds no ONNX graph.");
  const graph = fields(model);
  return {
    nodes: graph.filter(([n]) => n === 1).map(([, bytes]) => readNode(bytes)),
    constants: new Map(graph.filter(([n]) => n === 5).map(([, bytes]) => readTensor(bytes))),
    output: text(only(fields(only(graph, 12)), 1)),
  };
}

function readNode(bytes) {
  const found = fields(bytes);
  const strings = (number) => found.filter(([n]) => n === number).map(([, value]) => text(value));
  const attributes = found.filter(([n]) => n === 5).map(([, value]) => readAttribute(value));
  return { op: text(only(found, 4)), inputs: strings(1), outputs: strings(2), attributes: Object.fromEntries(attributes) };
}

/** An attribute as [name, number, or list of integers]; the others do not occur in our networks. */
function readAttribute(bytes) {
  const found = fields(bytes);
  const name = text(only(found, 1));
  const type = only(found, 20);
  if (type === 1) return [name, float(only(found, 2))];
  if (type === 2) return [name, only(found, 3) ?? 0];
  if (type === 7) return [name, integers(found, 8)];
  return [name, undefined];
}

function readTensor(bytes) {
  const found = fields(bytes);
  const type = only(found, 2);
  const raw = only(found, 9);
  return [text(only(found, 8)), { shape: integers(found, 1), data: values(found, type, raw) }];
}

function values(found, type, raw) {
  if (type === FLOAT) return raw ? new Float32Array(raw.slice().buffer) : floats(found, 4);
  if (type === INT64) return Float64Array.from(raw ? new BigInt64Array(raw.slice().buffer) : integers(found, 7), Number);
  if (type === INT32) return Float64Array.from(raw ? new Int32Array(raw.slice().buffer) : integers(found, 5));
  if (type === BOOL) return Float64Array.from(raw ?? integers(found, 5));
  throw new Error(`The network's file holds a tensor of ONNX type ${type}, which this page cannot read.`);
}

/** The fields of a message: [number, value], a value being a number or a Uint8Array. */
function fields(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found = [];
  for (let at = 0; at < bytes.length; ) {
    let tag, value;
    [tag, at] = varint(bytes, at);
    const wire = tag & 7;
    if (wire === 0) [value, at] = varint(bytes, at);
    else if (wire === 1) (value = view.getFloat64(at, true)), (at += 8);
    else if (wire === 5) (value = bytes.subarray(at, at + 4)), (at += 4);
    else {
      [value, at] = varint(bytes, at);
      if (at + value > bytes.length) throw new Error("The network's file is truncated.");
      [value, at] = [bytes.subarray(at, at + value), at + value];
    }
    found.push([Math.floor(tag / 8), value]);
  }
  return found;
}

/** A number of variable length: 7 bits a byte, two's complement of 64 bits. */
function varint(bytes, at) {
  let value = 0n;
  for (let shift = 0n; ; shift += 7n) {
    if (at >= bytes.length) throw new Error("The network's file is truncated.");
    const byte = bytes[at++];
    value |= BigInt(byte & 127) << shift;
    if (byte < 128) return [Number(BigInt.asIntN(64, value)), at];
  }
}

const only = (found, number) => found.find(([n]) => n === number)?.[1];
const text = (bytes) => new TextDecoder().decode(bytes);
const float = (bytes) => new DataView(bytes.buffer, bytes.byteOffset, 4).getFloat32(0, true);

/** Repeated integers, packed into one field or not. */
function integers(found, number) {
  const all = [];
  for (const [n, value] of found) {
    if (n !== number) continue;
    if (typeof value === "number") all.push(value);
    else for (let at = 0, next; at < value.length; all.push(next)) [next, at] = varint(value, at);
  }
  return all;
}

function floats(found, number) {
  const parts = found.filter(([n]) => n === number).map(([, value]) => value);
  return Float32Array.from(parts.flatMap((part) => [...new Float32Array(part.slice().buffer)]));
}
