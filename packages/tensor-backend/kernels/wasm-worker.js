// A thread of the WebAssembly module with shared memory, as a worker of a page; in Node, `work` runs in a worker thread.

/**
 * Instantiates the module on the memory it shares with the others and works on their loops for good.
 * stack: the end of a block of memory, from which the thread's stack grows down; threadLocal: a block for its own variables.
 */
export async function work({ module, memory, stack, threadLocal }, onReady) {
  const now = () => performance.now()
  const { exports } = await WebAssembly.instantiate(module, { env: { memory, now } })
  exports.__stack_pointer.value = stack
  exports.__wasm_init_tls(threadLocal)
  onReady()
  exports.work()
}

globalThis.onmessage = ({ data }) => work(data, () => postMessage('ready'))
