// What the WebAssembly module exports besides the kernels.
#include <stdint.h>

#include "allocator.h"
#include "threads.h"

extern "C" {

__attribute__((export_name("allocate"))) uint32_t wasm_allocate(uint32_t bytes) {
    return (uint32_t)(uintptr_t)heed::allocate(bytes);
}

__attribute__((export_name("release"))) void wasm_release(uint32_t address) {
    heed::release(reinterpret_cast<void*>((uintptr_t)address));
}

__attribute__((export_name("bytes_in_use"))) uint32_t wasm_bytes_in_use() { return (uint32_t)heed::memory_use().in_use; }
__attribute__((export_name("bytes_cached"))) uint32_t wasm_bytes_cached() { return (uint32_t)heed::memory_use().cached; }

}  // extern "C"

#if !defined(__wasm_atomics__)
// Without shared memory the module runs on one thread: a loop is done where it stands.
namespace heed {
int num_threads() { return 1; }
void set_num_threads(int) {}
void run_parallel(int count, int, Task task, const void* body) { task(body, 0, count); }
}  // namespace heed
#endif
