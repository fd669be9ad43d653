// The Node addon: every kernel as a function of numbers. Pointers are numbers too (addresses are below 2^53), so the
// same TypeScript calls the addon and the WebAssembly module.
#define NAPI_VERSION 8
#include <node_api.h>
#include <errno.h>
#include <string.h>
#if !defined(_WIN32)
#include <dlfcn.h>
#include <unistd.h>
#endif

#include <atomic>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>

#include "allocator.h"
#include "api.h"
#include "mapping.h"
#include "threads.h"

#if defined(__x86_64__)
extern const KernelTable avx512_kernels, avx2_kernels;
#elif defined(__aarch64__)
extern const KernelTable neon_kernels;
#endif
extern const KernelTable plain_kernels;

namespace heed {
void define_mpi(napi_env env, napi_value exports);  // mpi.cc
}

namespace {

const KernelTable* kernels = &plain_kernels;
const char* instruction_set = "plain";

/** Takes the best instruction set of this processor, or the one named, when the processor has it. */
bool choose_instruction_set(const char* wanted) {
    const auto take = [&](const char* name, bool available, const KernelTable& table) {
        if (!available || (*wanted && strcmp(wanted, name) != 0)) return false;
        kernels = &table;
        instruction_set = name;
        return true;
    };
#if defined(__x86_64__)
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                        __builtin_cpu_supports("avx512vnni");
    if (take("avx512", avx512, avx512_kernels) || take("avx2", avx2, avx2_kernels)) return true;
#elif defined(__aarch64__)
    if (take("neon", true, neon_kernels)) return true;
#endif
    return take("plain", true, plain_kernels);
}

/** A number of JavaScript as a kernel takes it; pointers are whole numbers. */
template <class T>
T argument(double value) {
    if constexpr (std::is_pointer_v<T>) return reinterpret_cast<T>((uintptr_t)value);
    else return (T)value;
}

constexpr size_t kMaxArguments = 40;

/** Reads the arguments of a call as numbers; false, with a pending exception, unless there are exactly `expected`. */
bool read_arguments(napi_env env, napi_callback_info info, size_t expected, double* numbers) {
    napi_value values[kMaxArguments];
    size_t count = kMaxArguments;
    napi_get_cb_info(env, info, &count, values, nullptr, nullptr);
    if (count != expected) {
        napi_throw_type_error(env, nullptr, "heed kernel: wrong number of arguments");
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (napi_get_value_double(env, values[i], &numbers[i]) != napi_ok) {
            napi_throw_type_error(env, nullptr, "heed kernel: an argument is not a number");
            return false;
        }
    }
    return true;
}

/** Indices 0 .. sizeof...(Is) - 1, to walk over the arguments of a kernel. */
template <size_t... Is>
struct Indices {};
template <size_t N, size_t... Is>
struct MakeIndices : MakeIndices<N - 1, N - 1, Is...> {};
template <size_t... Is>
struct MakeIndices<0, Is...> {
    using type = Indices<Is...>;
};

template <class... Args, size_t... Is>
void apply(void (*kernel)(Args...), const double* numbers, Indices<Is...>) {
    kernel(argument<Args>(numbers[Is])...);
}
/** Calls a kernel with the numbers that are there; returns how many it took. */
template <class... Args>
size_t apply(void (*kernel)(Args...), const double* numbers) {
    apply(kernel, numbers, typename MakeIndices<sizeof...(Args)>::type());
    return sizeof...(Args);
}

template <class... Args>
napi_value call(napi_env env, napi_callback_info info, void (*kernel)(Args...)) {
    double numbers[kMaxArguments];
    if (read_arguments(env, info, sizeof...(Args), numbers)) apply(kernel, numbers);
    return nullptr;
}

/** What a worker_thread has, which is given back when it ends; the system takes back that of the main thread. */
struct Memory {
    std::unordered_set<void*> blocks;
#if !defined(_WIN32)
    std::unordered_map<void*, size_t> mappings;  // their bytes
#endif

    ~Memory() {
        for (void* block : blocks) heed::release(block);
#if !defined(_WIN32)
        for (const auto& mapping : mappings) heed::unmap_file(mapping.first, mapping.second);
#endif
    }
};
thread_local Memory* memory_of_thread = nullptr;

/** release_at_end(): gives the memory of this JavaScript thread back when it ends. */
napi_value release_at_end(napi_env env, napi_callback_info) {
    if (memory_of_thread) return nullptr;
    memory_of_thread = new Memory;
    napi_add_env_cleanup_hook(
        env,
        [](void* memory) {
            delete static_cast<Memory*>(memory);
            memory_of_thread = nullptr;
        },
        memory_of_thread);
    return nullptr;
}

napi_value number(napi_env env, double value) {
    napi_value result;
    napi_create_double(env, value, &result);
    return result;
}

#if !defined(_WIN32)
napi_value boolean(napi_env env, bool value) {
    napi_value result;
    napi_get_boolean(env, value, &result);
    return result;
}

/** All of [offset, offset + bytes) of a file; false when it ends before, or cannot be read. */
bool read_file(int file, uint8_t* to, size_t bytes, size_t offset) {
    while (bytes > 0) {
        const ssize_t count = pread(file, to, bytes, (off_t)offset);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return false;
        to += count;
        offset += (size_t)count;
        bytes -= (size_t)count;
    }
    return true;
}

/**
 * read_floats(file, offset, address, count, kind): float32 values from a file's, which are of 32 bits (kind 0), float16 (1) or
 * bfloat16 (2); a part by each thread, which widens them where they stay. Returns whether all could be read.
 */
napi_value read_floats(napi_env env, napi_callback_info info) {
    double numbers[5];
    if (!read_arguments(env, info, 5, numbers)) return nullptr;
    constexpr size_t kPart = 1 << 18;
    const int file = (int)numbers[0], kind = (int)numbers[4];
    const size_t offset = (size_t)numbers[1], count = (size_t)numbers[3], width = kind == 0 ? 4 : 2;
    float* to = reinterpret_cast<float*>((uintptr_t)numbers[2]);
    std::atomic<bool> is_whole{true};
    heed::parallel_for((int)((count + kPart - 1) / kPart), 1, [&](int begin, int end) {
        for (size_t first = begin * kPart; first < end * kPart && first < count; first += kPart) {
            const size_t size = count - first < kPart ? count - first : kPart;
            uint8_t* narrow = reinterpret_cast<uint8_t*>(to + first) + (4 - width) * size;
            if (!read_file(file, narrow, width * size, offset + width * first)) is_whole = false;
            else if (kind != 0) kernels->widen(narrow, to + first, (int)size, kind == 2);
        }
    });
    return boolean(env, is_whole);
}

/** map_file(file, bytes): the address of the file as memory, or 0. */
napi_value map_file(napi_env env, napi_callback_info info) {
    double numbers[2];
    if (!read_arguments(env, info, 2, numbers)) return nullptr;
    void* const start = heed::map_file((int)numbers[0], (size_t)numbers[1]);
    if (start && memory_of_thread) memory_of_thread->mappings[start] = (size_t)numbers[1];
    return number(env, (double)(uintptr_t)start);
}

/** unmap_file(address, bytes) */
napi_value unmap_file(napi_env env, napi_callback_info info) {
    double numbers[2];
    if (!read_arguments(env, info, 2, numbers)) return nullptr;
    heed::unmap_file(argument<void*>(numbers[0]), (size_t)numbers[1]);
    if (memory_of_thread) memory_of_thread->mappings.erase(argument<void*>(numbers[0]));
    return nullptr;
}

/** forget_pages(address, bytes) */
napi_value forget_pages(napi_env env, napi_callback_info info) {
    double numbers[2];
    if (read_arguments(env, info, 2, numbers)) heed::forget_pages(argument<void*>(numbers[0]), (size_t)numbers[1]);
    return nullptr;
}

/** has_lost(address): whether the file mapped there, or any where it is 0, has become shorter than what was read of it. */
napi_value has_lost(napi_env env, napi_callback_info info) {
    double address;
    return read_arguments(env, info, 1, &address) ? boolean(env, heed::has_lost(argument<void*>(address))) : nullptr;
}

/** A weight in a file: rows of blocks, of which the kernels make strips of 16. */
struct WeightFile {
    static constexpr int kStrip = 16;
    // Bytes that a thread reads at a time: with what is made of them, they stay in its cache.
    static constexpr size_t kPart = 1 << 18;

    int file;
    size_t offset;
    int kind, rows, cols;
    size_t row_bytes, strip_bytes;
    int head_dim;  // where not 0, a multiple of 32: the rows of each head lie in pairs, (0, 1), (2, 3) ..., and become halves

    explicit WeightFile(const double* numbers)
        : file((int)numbers[0]), offset((size_t)numbers[1]), kind((int)numbers[2]), rows((int)numbers[3]), cols((int)numbers[4]),
          row_bytes((size_t)numbers[5]), strip_bytes((size_t)numbers[6]), head_dim((int)numbers[7]) {}

    /** Calls pack(from, first, count, step): rows first, first + 1 ... begin at `from`, each `step` rows after the last. */
    template <class Pack>
    bool read(const Pack& pack) const {
        const int strips = (int)(kPart / (kStrip * row_bytes)), together = head_dim ? 2 * kStrip : (strips > 0 ? strips : 1) * kStrip;
        std::atomic<bool> is_whole{true};
        heed::parallel_for((rows + together - 1) / together, 1, [&](int begin, int end) {
            uint8_t* block = static_cast<uint8_t*>(heed::allocate(together * row_bytes));
            if (!block) is_whole = false;
            for (int row = begin * together; row < end * together && row < rows && is_whole; row += together) {
                const int count = rows - row < together ? rows - row : together;
                if (!read_file(file, block, count * row_bytes, offset + row * row_bytes)) {
                    is_whole = false;
                } else if (head_dim == 0) {
                    pack(block, row, count, 1);
                } else {
                    const int head = row / head_dim * head_dim, first = head + (row - head) / 2;
                    pack(block, first, kStrip, 2);
                    pack(block + row_bytes, first + head_dim / 2, kStrip, 2);
                }
            }
            heed::release(block);
        });
        return is_whole;
    }
};

/**
 * read_strips(file, offset, kind, rows, cols, row bytes, strip bytes, head dim, strips): what quantized_pack makes of a weight in
 * a file, each strip packed by the thread that reads it. Returns whether all could be read.
 */
napi_value read_strips(napi_env env, napi_callback_info info) {
    double numbers[9];
    if (!read_arguments(env, info, 9, numbers)) return nullptr;
    const WeightFile weight(numbers);
    uint8_t* strips = argument<uint8_t*>(numbers[8]);
    return boolean(env, weight.read([&](const uint8_t* from, int first, int count, int step) {
        uint8_t* to = strips + first / WeightFile::kStrip * weight.strip_bytes;
        kernels->quantized_pack(from, to, weight.kind, count, weight.cols, step);
    }));
}

/**
 * read_linear(file ... head dim, x, bias, y, workspace, x rows): quantized_linear by a weight in a file, of which no more is held
 * than each thread multiplies by at a time. Returns whether all could be read.
 */
napi_value read_linear(napi_env env, napi_callback_info info) {
    double numbers[13];
    if (!read_arguments(env, info, 13, numbers)) return nullptr;
    const WeightFile weight(numbers);
    const float *x = argument<const float*>(numbers[8]), *bias = argument<const float*>(numbers[9]);
    float *y = argument<float*>(numbers[10]), *workspace = argument<float*>(numbers[11]);
    const int x_rows = (int)numbers[12];
    kernels->quantized_activations(x, workspace, weight.kind, x_rows, weight.cols);
    std::atomic<bool> has_room{true};
    const bool is_whole = weight.read([&](const uint8_t* from, int first, int count, int step) {
        const int strips = (count + WeightFile::kStrip - 1) / WeightFile::kStrip;
        uint8_t* packed = static_cast<uint8_t*>(heed::allocate(strips * weight.strip_bytes));
        if (packed) {
            kernels->quantized_pack(from, packed, weight.kind, count, weight.cols, step);
            kernels->quantized_part(x, packed, bias, y, workspace, weight.kind, x_rows, weight.cols, weight.rows, first, first + count);
        } else {
            has_room = false;
        }
        heed::release(packed);
    });
    return boolean(env, is_whole && has_room);
}

/** rows [count, row_bytes]: the rows `ids` of a table that lies in a file; one that cannot be read is all ones, which no float is. */
void file_rows(int file, size_t offset, const int32_t* ids, uint8_t* rows, int count, int row_bytes) {
    heed::parallel_for(count, 32, [&](int begin, int end) {
        for (int i = begin; i < end; i++) {
            uint8_t* row = rows + (size_t)i * row_bytes;
            if (!read_file(file, row, row_bytes, offset + (size_t)ids[i] * row_bytes)) memset(row, 0xff, row_bytes);
        }
    });
}

#define HEED_FILE_KERNELS(KERNEL) KERNEL(file_rows)
#else
#define HEED_FILE_KERNELS(KERNEL)
#endif

using Apply = size_t (*)(const double* numbers);
constexpr Apply kApply[] = {
#define HEED_APPLY(name, args) [](const double* numbers) { return apply(kernels->name, numbers); },
    HEED_KERNELS(HEED_APPLY)
#undef HEED_APPLY
#define HEED_APPLY(name) [](const double* numbers) { return apply(name, numbers); },
    HEED_FILE_KERNELS(HEED_APPLY)
#undef HEED_APPLY
};

/**
 * run(calls): many calls at once, as a Float64Array of kernels' numbers (their places in `kernel_names`), each followed by
 * its arguments, which the caller has counted.
 */
napi_value run(napi_env env, napi_callback_info info) {
    napi_value array;
    size_t count = 1, length = 0;
    napi_get_cb_info(env, info, &count, &array, nullptr, nullptr);
    napi_typedarray_type type = napi_int8_array;
    void* data = nullptr;
    if (count != 1 || napi_get_typedarray_info(env, array, &type, &length, &data, nullptr, nullptr) != napi_ok ||
        type != napi_float64_array) {
        napi_throw_type_error(env, nullptr, "heed: run takes a Float64Array");
        return nullptr;
    }
    const double* numbers = static_cast<const double*>(data);
    for (const double* end = numbers + length; numbers < end;) {
        const Apply apply_kernel = kApply[(size_t)*numbers++];
        numbers += apply_kernel(numbers);
    }
    return nullptr;
}

napi_value kernel_names(napi_env env, napi_callback_info) {
    const char* const names[] = {
#define HEED_NAME(name, args) #name,
        HEED_KERNELS(HEED_NAME)
#undef HEED_NAME
#define HEED_NAME(name) #name,
        HEED_FILE_KERNELS(HEED_NAME)
#undef HEED_NAME
    };
    napi_value result, name;
    napi_create_array(env, &result);
    uint32_t i = 0;
    for (const char* text : names) {
        napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &name);
        napi_set_element(env, result, i++, name);
    }
    return result;
}

napi_value allocate(napi_env env, napi_callback_info info) {
    double bytes;
    if (!read_arguments(env, info, 1, &bytes)) return nullptr;
    void* const block = heed::allocate((size_t)bytes);
    if (block && memory_of_thread) memory_of_thread->blocks.insert(block);
    return number(env, (double)(uintptr_t)block);
}

napi_value release(napi_env env, napi_callback_info info) {
    double address;
    if (!read_arguments(env, info, 1, &address)) return nullptr;
    heed::release(argument<void*>(address));
    if (memory_of_thread) memory_of_thread->blocks.erase(argument<void*>(address));
    return nullptr;
}

/** view(address, bytes): an ArrayBuffer over that memory, valid until the block is released. */
napi_value view(napi_env env, napi_callback_info info) {
    double numbers[2];
    if (!read_arguments(env, info, 2, numbers)) return nullptr;
    napi_value buffer;
    void* memory = reinterpret_cast<void*>((uintptr_t)numbers[0]);
    if (napi_create_external_arraybuffer(env, memory, (size_t)numbers[1], nullptr, nullptr, &buffer) != napi_ok) {
        napi_throw_error(env, nullptr, "heed: this runtime does not allow memory of an addon to be seen as an ArrayBuffer");
        return nullptr;
    }
    return buffer;
}

napi_value trim(napi_env, napi_callback_info) {
    heed::trim();
    return nullptr;
}

napi_value memory_use(napi_env env, napi_callback_info) {
    const heed::MemoryUse use = heed::memory_use();
    napi_value result, in_use, cached;
    napi_create_object(env, &result);
    napi_create_double(env, (double)use.in_use, &in_use);
    napi_create_double(env, (double)use.cached, &cached);
    napi_set_named_property(env, result, "inUse", in_use);
    napi_set_named_property(env, result, "cached", cached);
    return result;
}

/** configure(threads, instructionSet): '' takes the best; returns the name of the set, or undefined when it is not there. */
napi_value configure(napi_env env, napi_callback_info info) {
    napi_value values[2];
    size_t count = 2;
    napi_get_cb_info(env, info, &count, values, nullptr, nullptr);
    int32_t threads = 1;
    char wanted[16] = "";
    if (count != 2 || napi_get_value_int32(env, values[0], &threads) != napi_ok ||
        napi_get_value_string_utf8(env, values[1], wanted, sizeof wanted, nullptr) != napi_ok) {
        napi_throw_type_error(env, nullptr, "heed: configure takes a number and a string");
        return nullptr;
    }
    if (!choose_instruction_set(wanted)) return nullptr;
    heed::set_num_threads(threads);
    napi_value name;
    napi_create_string_utf8(env, instruction_set, NAPI_AUTO_LENGTH, &name);
    return name;
}

void define(napi_env env, napi_value exports, const char* name, napi_callback function) {
    napi_value value;
    napi_create_function(env, name, NAPI_AUTO_LENGTH, function, nullptr, &value);
    napi_set_named_property(env, exports, name, value);
}

/**
 * Keeps the addon in the process. Node closes the addons of a worker_thread that ends, and where no other thread has this one
 * the system would take its code away while threads of the pool still run it.
 */
void stay_loaded() {
#if !defined(_WIN32)
    Dl_info addon;
    if (dladdr(reinterpret_cast<void*>(&stay_loaded), &addon)) dlopen(addon.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
#endif
}

}  // namespace

NAPI_MODULE_INIT() {
    stay_loaded();
    define(env, exports, "allocate", allocate);
    define(env, exports, "release", release);
    define(env, exports, "view", view);
    define(env, exports, "release_at_end", release_at_end);
    define(env, exports, "trim", trim);
    define(env, exports, "memory_use", memory_use);
    define(env, exports, "configure", configure);
    define(env, exports, "run", run);
    define(env, exports, "kernel_names", kernel_names);
#if !defined(_WIN32)
    define(env, exports, "map_file", map_file);
    define(env, exports, "unmap_file", unmap_file);
    define(env, exports, "forget_pages", forget_pages);
    define(env, exports, "has_lost", has_lost);
    define(env, exports, "read_floats", read_floats);
    define(env, exports, "read_strips", read_strips);
    define(env, exports, "read_linear", read_linear);
#endif
    heed::define_mpi(env, exports);
#define HEED_DEFINE(name, args) \
    define(env, exports, #name, [](napi_env e, napi_callback_info info) { return call(e, info, kernels->name); });
    HEED_KERNELS(HEED_DEFINE)
#undef HEED_DEFINE
#define HEED_DEFINE(name) define(env, exports, #name, [](napi_env e, napi_callback_info info) { return call(e, info, name); });
    HEED_FILE_KERNELS(HEED_DEFINE)
#undef HEED_DEFINE
    return exports;
}
