// A network: the graph of an ONNX file, computed node after node. One call is (x_t, t, label) -> y, with a batch of one.

import { readGraph } from "./onnx.js";
import { operators } from "./operators.js";

/**
 * @param {ArrayBuffer} buffer Content of a .onnx file that `python -m export --format onnx` wrote.
 * @param {number[]} imageShape [H, W, C].
 * @param {function} multiply See matrices.js.
 * @returns {function(Float32Array, number, number): Float32Array} (x_t, t, label) -> y, of one image.
 * @throws {Error} If the file cannot be read, or uses an operator that this page lacks.
 */
export function loadNetwork(buffer, imageShape, multiply) {
  const { nodes, constants, output } = readGraph(buffer);
  const known = operators(multiply);
  const unknown = [...new Set(nodes.map((node) => node.op))].filter((op) => !(op in known));
  if (unknown.length) throw new Error(`The network uses operators that this page lacks: ${unknown.join(", ")}.`);
  const shape = [1, ...imageShape];
  return (x_t, t, label) => {
    const tensors = new Map(constants);
    tensors.set("x_t", { shape, data: x_t });
    tensors.set("t", { shape: [1], data: Float32Array.of(t) });
    tensors.set("label", { shape: [1], data: Float64Array.of(label) });
    for (const { op, inputs, outputs, attributes } of nodes) {
      const results = known[op](inputs.map((name) => tensors.get(name)), attributes, outputs.length);
      outputs.forEach((name, i) => tensors.set(name, results[i]));
    }
    return tensors.get(output).data;
  };
}
