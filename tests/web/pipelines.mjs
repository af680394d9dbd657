// node pipelines.mjs REQUEST.json RESULT.json: have a library's shaders made into pipelines
// as a page does, by Dawn's null device, which checks all of them and runs none. The request
// names "packages", the folder in which npm installed; "library"; "features", what the device
// has; and "functions", what a page looks up. The result has the "checked" entry points, what
// was "refused", entry point to reason, and the functions that are "missing".

import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

// Storage buffers of a shader: TVM's runtime asks every device for more than WebGPU promises
// and the null device has. A pipeline with more cannot be made here, only its shader.
const MOST = 10;

const [, , requestFile, resultFile] = process.argv;
const request = JSON.parse(fs.readFileSync(requestFile, "utf8"));
const require = createRequire(path.join(request.packages, "package.json"));
const { create, globals } = require("webgpu");
const tvmjs = require("@mlc-ai/web-runtime");
Object.assign(globalThis, globals);
const gpu = create(["backend=null"]);
const adapter = await gpu.requestAdapter();
const device = await adapter.requestDevice({ requiredFeatures: request.features });
const result = { checked: [], refused: {}, missing: [] };
watch(device);
const bytes = new Uint8Array(fs.readFileSync(request.library));
const tvm = await tvmjs.instantiate(bytes, tvmjs.createPolyfillWASI(), () => {});
console.error = () => {}; // What is refused is noted here.
tvm.initWebGPU(device);
tvm.beginScope();
const vm = tvm.createVirtualMachine(tvm.webgpu());
result.missing = request.functions.filter((name) => !isThere(name));
await tvm.asyncLoadWebGPUPipelines(vm.getInternalModule());
fs.writeFileSync(resultFile, JSON.stringify(result));
process.exit(0);

function isThere(name) {
  try {
    return Boolean(vm.getFunction(name));
  } catch {
    return false;
  }
}

// Note what becomes of each shader; what is refused ends nothing.
function watch(device) {
  const buffers = new Map();
  const wrap = (name, replaced) => {
    const original = device[name].bind(device);
    device[name] = (asked) => replaced(original, asked);
  };
  wrap("createBindGroupLayout", (make, asked) => {
    const count = asked.entries.filter(({ buffer }) => buffer.type !== "uniform").length;
    const fits = count <= device.limits.maxStorageBuffersPerShaderStage;
    const layout = make(fits ? asked : { entries: [] });
    buffers.set(layout, count);
    return layout;
  });
  wrap("createPipelineLayout", (make, asked) => {
    const layout = make(asked);
    buffers.set(layout, buffers.get(asked.bindGroupLayouts[0]));
    return layout;
  });
  wrap("createComputePipelineAsync", async (make, asked) => {
    const { module, entryPoint } = asked.compute;
    const reason = await refusal(module, buffers.get(asked.layout), () => make(asked));
    if (reason) result.refused[entryPoint] = reason;
    result.checked.push(entryPoint);
    return null;
  });
}

async function refusal(module, count, make) {
  const { messages } = await module.getCompilationInfo();
  const errors = messages.filter(({ type }) => type === "error");
  if (errors.length) return errors.map(({ message }) => message).join("\n");
  if (count > MOST) return `${count} storage buffers`;
  if (count > device.limits.maxStorageBuffersPerShaderStage) return "";
  return make().then(() => "", (error) => error.message);
}
