// ONNX Runtime's global, which index.html loads before page.js; for the type check.

interface OrtTensor {
  data: Float32Array;
  dims: readonly number[];
}
interface OrtSession {
  run(inputs: { image: OrtTensor }): Promise<{ probabilities: OrtTensor; distance?: OrtTensor }>;
}
declare const ort: {
  env: { wasm: { numThreads: number; wasmPaths: string; wasmBinary: Uint8Array } };
  InferenceSession: { create(model: Uint8Array, options: { executionProviders: string[] }): Promise<OrtSession> };
  Tensor: new (type: "uint8", data: Uint8Array, dims: number[]) => OrtTensor;
};
