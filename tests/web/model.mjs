// What a page does with a library, in the order of web-llm: load it, load the weights,
// create the cache, prefill, decode. Knows TVM's JavaScript; runs in a browser.

const SEQUENCE = 0;

// Feed `request.tokens`, the first `request.prefill` of them at once; returns the logits
// of the last of these and of each further token, and what is sampled from the last ones.
export async function run(tvmjs, bytes, request) {
  const gpu = (await tvmjs.detectGPUDevice()).device;
  const { tvm, vm, device, errors } = await load(tvmjs, bytes, gpu);
  await tvm.asyncLoadWebGPUPipelines(vm.getInternalModule());
  await tvm.fetchTensorCache(request.weights, device);
  tvm.beginScope();
  const metadata = JSON.parse(vm.getFunction("_metadata")().toString());
  const names = metadata.params.map((param) => param.name);
  const params = tvm.detachFromCurrentScope(tvm.getParamsFromCacheByName(names));
  const model = { tvm, vm, device, params, state: createState(tvm, vm, metadata) };
  const rows = [await forward(model, "prefill", request.tokens.slice(0, request.prefill))];
  for (const token of request.tokens.slice(request.prefill)) {
    rows.push(await forward(model, "decode", [token]));
  }
  const sampled = await sample(model, rows.at(-1), request);
  tvm.endScope();
  if (errors.length) throw new Error(errors.join("\n"));
  return { logits: rows.map((row) => Array.from(row)), ...sampled };
}

async function load(tvmjs, bytes, gpu) {
  const tvm = await tvmjs.instantiate(bytes, tvmjs.createPolyfillWASI(), console.log);
  const errors = [];
  gpu.addEventListener("uncapturederror", (event) => errors.push(event.error.message));
  tvm.initWebGPU(gpu);
  const device = tvm.webgpu();
  const vm = tvm.withNewScope(() => tvm.detachFromCurrentScope(tvm.createVirtualMachine(device)));
  return { tvm, vm, device, errors };
}

function createState(tvm, vm, metadata) {
  const sizes = [1, metadata.context_window_size, metadata.prefill_chunk_size, 16, 0];
  const shapes = sizes.map((size) => tvm.makeShapeTuple([size]));
  const state = vm.getFunction("create_tir_paged_kv_cache")(...shapes);
  tvm.getGlobalFunc("vm.builtin.kv_state_add_sequence")(state, tvm.scalar(SEQUENCE, "int64"));
  return tvm.detachFromCurrentScope(state);
}

async function forward({ tvm, vm, device, params, state }, name, tokens) {
  tvm.beginScope();
  const length = tokens.length;
  const ids = tvm.empty([length], "int32", device).copyFrom(Int32Array.from(tokens));
  const embedded = vm.getFunction("embed")(ids, params);
  const [sequence, appended] = [SEQUENCE, length].map((size) => tvm.makeShapeTuple([size]));
  tvm.getGlobalFunc("vm.builtin.kv_state_begin_forward")(state, sequence, appended);
  const input = embedded.view([1, ...embedded.shape]);
  const logits = vm.getFunction(name)(input, state, params).get(0);
  tvm.getGlobalFunc("vm.builtin.kv_state_end_forward")(state);
  const row = await toArray(tvm, device, logits);
  tvm.endScope();
  return row;
}

async function sample({ tvm, vm, device }, row, { temperature, topP, uniform }) {
  const size = row.length;
  const put = (values, shape, dtype) => tvm.empty(shape, dtype, device).copyFrom(values);
  const float = (value) => put([value], [1], "float32");
  const logits = put(row, [1, 1, size], "float32");
  const hot = vm.getFunction("softmax_with_temperature")(logits, float(temperature));
  const probs = hot.view([1, size]);
  const pair = vm.getFunction("argsort_probs")(probs);
  const indices = put([0], [1], "int32");
  const drawn = vm.getFunction("sample_with_top_p")(
    pair.get(0), pair.get(1), float(uniform), indices, float(topP));
  const read = async (tensor) => Array.from(await toArray(tvm, device, tensor));
  return {
    probs: await read(probs),
    order: await read(pair.get(1)),
    token: (await read(drawn))[0],
  };
}

async function toArray(tvm, device, tensor) {
  const here = tvm.empty(tensor.shape, tensor.dtype, tvm.cpu()).copyFrom(tensor);
  await device.sync();
  return here.toArray();
}
