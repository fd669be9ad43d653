// Calls every kernel of every instruction set this processor has, on random arguments that its contract allows, with
// blocks of exactly the size it is told of. Built with AddressSanitizer and UBSan by fuzz.mjs: any finding ends the process.
// fuzz SECONDS SEED FILE: FILE always holds the case that runs; `fuzz 0 SEED FILE` with its seed runs it alone.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <initializer_list>
#include <vector>

#include "../allocator.h"
#include "../api.h"
#include "../threads.h"

#if defined(__x86_64__)
extern const KernelTable avx512_kernels, avx2_kernels;
#elif defined(__aarch64__)
extern const KernelTable neon_kernels;
#endif
extern const KernelTable plain_kernels;

namespace {

uint64_t state;

uint32_t random32() {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 32);
}
int from(int64_t low, int64_t high) { return (int)(low + (int64_t)(random32() % (uint64_t)(high - low + 1))); }
bool chance(int percent) { return from(1, 100) <= percent; }
/** A length that often lies beside a multiple of a vector. */
int length(int high) {
    if (chance(50)) return from(0, high < 20 ? high : 20);
    if (chance(50)) return from(0, high);
    const int near = 16 * from(0, high / 16) + from(-1, 1);
    return near < 0 ? 0 : near > high ? high : near;
}
int at_least_1(int high) {
    const int n = length(high);
    return n < 1 ? 1 : n;
}

float any_float() {
    if (chance(97)) return (float)from(-3000, 3000) / 1000;
    const float extremes[] = {0.0f, -0.0f, 1e38f, -1e38f, 1e-40f, 100.0f, -1000.0f, __builtin_inff(), -__builtin_inff(), __builtin_nanf("")};
    return extremes[from(0, 9)];
}

/** A block of exactly `count` elements, freed when the case ends. */
template <class T>
struct Block {
    T* data;
    explicit Block(size_t count) : data(static_cast<T*>(malloc(count * sizeof(T)))) {}
    Block(const Block&) = delete;
    ~Block() { free(data); }
    operator T*() const { return data; }
    T* get() const { return data; }
};
struct Floats : Block<float> {
    explicit Floats(size_t count) : Block(count) {
        for (size_t i = 0; i < count; i++) data[i] = any_float();
    }
};
struct Ints : Block<int32_t> {
    Ints(size_t count, int low, int high) : Block(count) {
        for (size_t i = 0; i < count; i++) data[i] = from(low, high);
    }
};
struct Bytes : Block<uint8_t> {
    Bytes(size_t count, int high) : Block(count) {
        for (size_t i = 0; i < count; i++) data[i] = (uint8_t)from(0, high);
    }
};
const float* maybe(const Floats& block) { return chance(50) ? block.get() : nullptr; }

using Kernels = const KernelTable&;

void fuzz_matmul(Kernels k) {
    const int rows = length(80), cols = length(80), depth = length(300), batch = from(1, 3);
    const size_t a_step = chance(50) ? (size_t)rows * depth : 0, b_step = chance(50) ? (size_t)depth * cols : 0;
    const Floats a((size_t)rows * depth * batch), b((size_t)depth * cols * batch), bias(cols);
    const Floats c((size_t)rows * cols * batch), before((size_t)rows * cols * batch);
    k.matmul(a, b, maybe(bias), c, chance(30) ? before.get() : nullptr, rows, cols, depth, chance(50), chance(50), chance(30),
             from(0, 4), batch, a_step, b_step);
}

/** A weight into panels, a product by them, and the weight out of them again. */
void fuzz_panel_product(Kernels k) {
    const int rows = length(80), cols = length(80), depth = length(300), is_transposed = chance(50);
    int32_t panel_cols = 0;
    k.panel_cols(&panel_cols);
    const size_t size = (size_t)depth * cols;
    const Floats x((size_t)rows * depth), weight(size), bias(cols), y((size_t)rows * cols), back(size);
    const Floats panels((size_t)(cols + panel_cols - 1) / panel_cols * panel_cols * depth);
    k.pack_panels(weight, panels, depth, cols, is_transposed);
    k.panel_product(x, panels, maybe(bias), y, rows, cols, depth, from(0, 4));
    k.unpack_panels(panels, back, depth, cols, is_transposed);
    if (size > 0 && memcmp(weight.get(), back.get(), sizeof(float) * size) != 0) abort();
}
void fuzz_panel_cols(Kernels k) { fuzz_panel_product(k); }
void fuzz_pack_panels(Kernels k) { fuzz_panel_product(k); }
void fuzz_unpack_panels(Kernels k) { fuzz_panel_product(k); }

/** A shape of five axes with room in an array for each walk over it. */
struct Axes {
    int sizes[5];
    ptrdiff_t whole[5], broadcast[5], permuted[5];
    size_t count = 1;
    Axes() {
        int order[5] = {0, 1, 2, 3, 4};
        for (int i = 0; i < 5; i++) {
            sizes[i] = chance(50) ? 1 : from(1, 12);
            const int other = from(0, i), swap = order[i];
            order[i] = order[other];
            order[other] = swap;
        }
        size_t stride = 1, part = 1, permuted_stride = 1;
        for (int i = 4; i >= 0; i--) {
            whole[i] = (ptrdiff_t)stride;
            stride *= sizes[i];
            const bool is_shared = chance(40);
            broadcast[i] = is_shared ? 0 : (ptrdiff_t)part;
            if (!is_shared) part *= sizes[i];
            permuted[order[i]] = (ptrdiff_t)permuted_stride;
            permuted_stride *= sizes[order[i]];
        }
        count = stride;
    }
};
#define AXES(v) v[0], v[1], v[2], v[3], v[4]

void fuzz_binary(Kernels k) {
    const Axes axes;
    const int kind = from(0, 15), type = kind == 14 || kind == 15 ? 2 : from(0, kind >= 8 ? 2 : kind == 3 || kind == 7 ? 0 : 1);
    const size_t bytes = axes.count * (type == 2 ? 1 : 4);
    const Bytes a(bytes, type == 2 ? 1 : 255), b(bytes, type == 2 ? 1 : 255), y(axes.count * (kind >= 8 ? 1 : 4), 0);
    const bool left = chance(50);
    const ptrdiff_t* a_strides = left ? axes.broadcast : axes.whole;
    const ptrdiff_t* b_strides = left ? axes.whole : axes.broadcast;
    k.binary(a, b, y, kind, type, AXES(axes.sizes), AXES(a_strides), AXES(b_strides));
}
void fuzz_unary(Kernels k) {
    const int count = length(9000);
    const Floats x(count), y(count);
    k.unary(x, chance(50) ? x : y, count, from(0, 23), any_float());
}
void fuzz_clip(Kernels k) {
    const int count = length(9000);
    const Floats x(count), y(count);
    k.clip(x, y, count, any_float(), any_float());
}
void fuzz_select(Kernels k) {
    const int conditions = at_least_1(300), span = from(1, 20), count = conditions * span;
    const Bytes condition(conditions, 1);
    const Ints a(count, -9, 9), b(count, -9, 9), y(count, 0, 0);
    k.select(condition, a, b, y, count, span);
}
void fuzz_convert(Kernels k) {
    const int count = length(9000), type = from(0, 2), to = (type + from(1, 2)) % 3;
    const Floats floats(count);
    const Bytes x((size_t)count * (type == 2 ? 1 : 4), type == 2 ? 1 : 255), y((size_t)count * (to == 2 ? 1 : 4), 0);
    if (type == 0 && count) memcpy(x, floats, 4 * (size_t)count);
    k.convert(x, y, count, type, to);
}
void fuzz_fill(Kernels k) {
    const int count = length(9000);
    const Floats y(count);
    k.fill(y, count, any_float());
}
void fuzz_reduce(Kernels k) {
    const int outer = length(40), count = at_least_1(600), inner = length(20);
    const Floats x((size_t)outer * count * inner), y((size_t)outer * inner);
    k.reduce(x, y, outer, count, inner, from(0, 4));
}
void fuzz_reduce_int(Kernels k) {
    const int outer = length(40), count = length(600), inner = length(20);
    const Ints x((size_t)outer * count * inner, INT32_MIN / 2, INT32_MAX / 2), y((size_t)outer * inner, 0, 0);
    k.reduce_int(x, y, outer, count, inner);
}
void fuzz_arg_extreme(Kernels k) {
    const int rows = length(40), count = at_least_1(300);
    const Floats x((size_t)rows * count);
    const Ints y(rows, 0, 0);
    k.arg_extreme(x, y, rows, count, chance(50) ? 1 : -1);
}
void fuzz_softmax(Kernels k) {
    const int rows = length(40), cols = at_least_1(300);
    const Floats x((size_t)rows * cols), y((size_t)rows * cols);
    k.softmax(x, y, rows, cols);
}
void fuzz_copy(Kernels k) {
    const Axes axes;
    const int bytes = chance(50) ? 4 : 1;
    const Bytes source(axes.count * bytes, 255), target(axes.count * bytes, 0);
    const bool spreads = chance(30), permutes = chance(50);
    const ptrdiff_t* strides = spreads ? axes.broadcast : permutes ? axes.permuted : axes.whole;
    const ptrdiff_t* to_strides = !spreads && chance(30) ? axes.permuted : axes.whole;
    k.copy(source, target, bytes, AXES(axes.sizes), AXES(strides), AXES(to_strides));
}
void fuzz_gather(Kernels k) {
    const int outer = length(10), size = from(1, 50), count = length(40), inner = length(40);
    const Floats x((size_t)outer * size * inner), y((size_t)outer * count * inner);
    const Ints ids(count, 0, size - 1);
    k.gather(x, ids, y, outer, size, count, inner);
}
void fuzz_segment_sum(Kernels k) {
    const int count = length(60), segments = length(30), inner = length(40);
    const Floats x((size_t)count * inner), y((size_t)segments * inner);
    const Ints ids(count, -3, segments + 3);
    k.segment_sum(x, ids, y, count, segments, inner);
}
void fuzz_accumulate(Kernels k) {
    const int count = length(9000);
    const Floats sum(count), term(count);
    k.accumulate(sum, term, count);
}
void fuzz_rms_norm(Kernels k) {
    const int rows = length(60), cols = length(200);
    const Floats x((size_t)rows * cols), weight(cols), y((size_t)rows * cols), inverse(rows);
    k.rms_norm(x, weight, y, inverse, rows, cols, 1e-6f);
}
void fuzz_rms_norm_gradient(Kernels k) {
    const int rows = length(60), cols = length(200), parts = from(1, 5);
    const size_t size = (size_t)rows * cols;
    const Floats dy(size), x(size), weight(cols), inverse(rows), dx(size), dweight(cols), workspace((size_t)parts * cols);
    k.rms_norm_gradient(dy, x, weight, inverse, dx, dweight, workspace, parts, rows, cols);
}
void fuzz_layer_norm(Kernels k) {
    const int rows = length(60), cols = length(200);
    const size_t size = (size_t)rows * cols;
    const Floats x(size), weight(cols), bias(cols), y(size), mean(rows), inverse(rows);
    k.layer_norm(x, weight, maybe(bias), y, mean, inverse, rows, cols, 1e-5f);
}
void fuzz_layer_norm_gradient(Kernels k) {
    const int rows = length(60), cols = length(200), parts = from(1, 5);
    const size_t size = (size_t)rows * cols;
    const Floats dy(size), x(size), weight(cols), mean(rows), inverse(rows), dx(size), dweight(cols), dbias(cols);
    const Floats workspace((size_t)(parts + 1) * 2 * cols);
    k.layer_norm_gradient(dy, x, weight, mean, inverse, dx, dweight, chance(50) ? dbias.get() : nullptr, workspace, parts, rows, cols);
}

/** A random HEED_ATTENTION_PROBLEM and the blocks it points to. */
struct Attention {
    const int batch = from(1, 3), kv_heads = from(1, 3), heads = kv_heads * from(1, 3), head_dim = at_least_1(40), value_dim = at_least_1(40);
    const int queries, keys = at_least_1(200), capacity = keys + (chance(50) ? 0 : from(0, 9));
    const size_t padded_keys = (size_t)(keys + 63) / 64 * 64;
    const Floats q{(size_t)batch * queries * heads * head_dim}, k{(size_t)batch * capacity * kv_heads * head_dim};
    const Floats v{(size_t)batch * capacity * kv_heads * value_dim};
    const bool has_bias[3] = {chance(50), chance(50), chance(50)};
    const int bias_row = has_bias[2] ? keys : 0, bias_head = has_bias[1] ? keys * (has_bias[2] ? queries : 1) : 0;
    const int bias_batch = has_bias[0] ? keys * (has_bias[2] ? queries : 1) * (has_bias[1] ? heads : 1) : 0;
    const Floats bias{(size_t)keys * (has_bias[2] ? queries : 1) * (has_bias[1] ? heads : 1) * (has_bias[0] ? batch : 1)};
    const Ints key_mask{(size_t)batch * keys, 0, 1};
    const bool uses_bias = chance(40), uses_mask = chance(40);
    const bool drops = chance(30);
    explicit Attention(int max_queries) : queries(at_least_1(max_queries)) {}
};
#define ATTENTION(p) PACKED_ATTENTION(p, p.k, p.v)
#define PACKED_ATTENTION(p, keys_of, values_of)                                                                          \
    p.q, (const float*)keys_of, (const float*)values_of, p.uses_bias ? p.bias.get() : nullptr, p.uses_mask ? p.key_mask.get() : nullptr, p.batch, p.queries,   \
        p.keys, p.capacity, p.heads, p.kv_heads, p.head_dim, p.value_dim, chance(50), chance(40) ? from(1, 40) : 0, 0.3f, \
        chance(30) ? 20.0f : 0.0f, p.bias_batch, p.bias_head, p.bias_row, p.drops ? 0x40000000u : 0u,                    \
        p.drops ? 4.0f / 3 : 1.0f, from(0, 99)

void fuzz_attention(Kernels k) {
    const Attention p(90);
    const Floats out((size_t)p.batch * p.queries * p.heads * p.value_dim), lse((size_t)p.batch * p.heads * p.queries);
    const Floats workspace((size_t)p.batch * p.kv_heads * p.head_dim * p.padded_keys);
    k.attention(ATTENTION(p), out, chance(50) ? lse.get() : nullptr, workspace);
}
void fuzz_attention_step(Kernels k) {
    const Attention p(4);
    const int splits = from(1, 4);
    const Floats out((size_t)p.batch * p.queries * p.heads * p.value_dim);
    const Floats partial((size_t)p.batch * splits * p.queries * p.heads * (p.value_dim + 2));
    k.attention_step(ATTENTION(p), out, partial, splits);
}
size_t packed_bytes(int packing, int dim) {
    return (size_t)((packing == 0 ? 2 * dim : dim + (dim + 31) / 32 * 2) + 3) / 4 * 4;
}
void fuzz_pack_rows(Kernels k) {
    const int packing = from(0, 1), rows = from(1, 300), dim = length(150);
    const Floats x((size_t)rows * dim);
    std::vector<uint8_t> packed(rows * packed_bytes(packing, dim));
    k.pack_rows(x, packed.data(), packing, rows, dim);
    k.unpack_rows(packed.data(), x, packing, rows, dim);
}
void fuzz_unpack_rows(Kernels k) { fuzz_pack_rows(k); }
void fuzz_attention_step_packed(Kernels k) {
    const Attention p(4);
    const int splits = from(1, 4), packing = from(0, 1);
    const size_t rows = (size_t)p.batch * p.capacity * p.kv_heads;
    std::vector<uint8_t> keys(rows * packed_bytes(packing, p.head_dim)), values(rows * packed_bytes(packing, p.value_dim));
    k.pack_rows(p.k, keys.data(), packing, (int)rows, p.head_dim);
    k.pack_rows(p.v, values.data(), packing, (int)rows, p.value_dim);
    const Floats out((size_t)p.batch * p.queries * p.heads * p.value_dim);
    const Floats partial((size_t)p.batch * splits * (p.queries * p.heads * (p.value_dim + 2) + 32 * (p.head_dim + p.value_dim)));
    k.attention_step_packed(PACKED_ATTENTION(p, keys.data(), values.data()), out, partial, splits, packing);
}
void fuzz_attention_each(Kernels k) {
    const int count = from(1, 5), kv_heads = from(1, 3), heads = kv_heads * from(1, 3), head_dim = length(40), value_dim = length(40);
    const int capacity = from(1, 90), held = from(0, capacity - 1);
    const Floats q((size_t)count * heads * head_dim), new_k((size_t)count * kv_heads * head_dim), new_v((size_t)count * kv_heads * value_dim);
    const size_t key_size = (size_t)capacity * kv_heads * head_dim, value_size = (size_t)capacity * kv_heads * value_dim;
    const Floats keys(count * key_size), values(count * value_size);
    const Floats out((size_t)count * heads * value_dim), partial((size_t)count * heads * (value_dim + 2));
    std::vector<double> table;
    for (int i = 0; i < count; i++) {
        for (float* cache : {keys.get() + i * key_size, values.get() + i * value_size}) table.push_back((double)(uintptr_t)cache);
        for (int number : {capacity, held}) table.push_back(number);
    }
    k.attention_each(table.data(), count, q, new_k, new_v, out, partial, heads, kv_heads, head_dim, value_dim, chance(30) ? from(1, 50) : 0,
                     0.3f, chance(30) ? 5.0f : 0.0f);
}
void fuzz_attention_gradient(Kernels k) {
    const Attention p(90);
    const int splits = from(1, 3);
    const size_t delta = (size_t)p.batch * p.heads * p.queries, size = delta * p.value_dim;
    const size_t q_size = delta * p.head_dim, kv_rows = (size_t)p.batch * p.capacity * p.kv_heads;
    const Floats out(size), lse(delta), dout(size), dq(q_size), dk(kv_rows * p.head_dim), dv(kv_rows * p.value_dim);
    const Floats dbias(delta * p.keys);
    const size_t transposed = (size_t)p.batch * p.kv_heads * (p.head_dim + p.value_dim) * p.padded_keys;
    const Floats workspace(transposed + delta + (splits > 1 ? splits * q_size : 0));
    const bool of_bias = chance(30);
    k.attention_gradient(ATTENTION(p), out, lse, dout, of_bias ? nullptr : dq.get(), of_bias ? nullptr : dk.get(),
                         of_bias ? nullptr : dv.get(), of_bias ? dbias.get() : nullptr, workspace, splits);
}
void fuzz_rotary(Kernels k) {
    const int table_rows = from(1, 20), rows = table_rows * from(1, 3), heads = from(1, 4), half = length(20), head_dim = 2 * half + length(9);
    const size_t size = (size_t)rows * heads * head_dim;
    const Floats x(size), cos((size_t)table_rows * half), sin((size_t)table_rows * half), y(size);
    k.rotary(x, cos, sin, y, rows, table_rows, heads, head_dim, half, chance(50), chance(50) ? 1.0f : -1.0f);
}
void fuzz_activation(Kernels k) {
    const int count = length(9000);
    const Floats x(count), y(count);
    k.activation(x, y, count, from(0, 4));
}
void fuzz_activation_gradient(Kernels k) {
    const int count = length(9000);
    const Floats dy(count), x(count), dx(count);
    k.activation_gradient(dy, x, dx, count, from(0, 4));
}
void fuzz_swiglu(Kernels k) {
    const int count = length(9000);
    const Floats gate(count), up(count), y(count);
    k.swiglu(gate, up, y, count);
}
void fuzz_swiglu_gradient(Kernels k) {
    const int count = length(9000);
    const Floats dy(count), gate(count), up(count), dgate(count), dup(count);
    k.swiglu_gradient(dy, gate, up, dgate, dup, count);
}
void fuzz_dropout(Kernels k) {
    const int count = length(9000);
    const Floats x(count), y(count);
    k.dropout(x, y, count, random32(), 2, (int32_t)random32());
}
void fuzz_embedding(Kernels k) {
    const int count = length(60), vocab = from(1, 50), hidden = length(100);
    const Ints ids(count, 0, vocab - 1);
    const Floats weight((size_t)vocab * hidden), y((size_t)count * hidden);
    k.embedding(ids, weight, y, count, hidden);
}
void fuzz_embedding_gradient(Kernels k) {
    const int count = length(60), vocab = from(1, 50), hidden = length(100);
    const Ints ids(count, 0, vocab - 1);
    const Floats dy((size_t)count * hidden), dweight((size_t)vocab * hidden);
    k.embedding_gradient(ids, dy, dweight, count, vocab, hidden, from(0, 1));
}
void fuzz_cross_entropy(Kernels k) {
    const int rows = length(60), cols = at_least_1(200);
    const Floats logits((size_t)rows * cols), loss(1), lse(rows), weight(1), losses(rows);
    const Ints labels(rows, -1, cols - 1);
    k.cross_entropy(logits, labels, loss, lse, weight, losses, rows, cols, -1, chance(50) ? 0.1f : 0.0f, chance(50));
}
void fuzz_cross_entropy_gradient(Kernels k) {
    const int rows = length(60), cols = at_least_1(200);
    const Floats dloss(1), logits((size_t)rows * cols), lse(rows), weight(1), dlogits((size_t)rows * cols);
    const Ints labels(rows, -1, cols - 1);
    k.cross_entropy_gradient(dloss, logits, labels, lse, weight, dlogits, rows, cols, -1, chance(50) ? 0.1f : 0.0f);
}
void fuzz_token_log_probs(Kernels k) {
    const int rows = length(60), cols = at_least_1(200);
    const Floats logits((size_t)rows * cols), y(rows), lse(rows);
    const Ints ids(rows, 0, cols - 1);
    k.token_log_probs(logits, ids, y, lse, rows, cols);
}
void fuzz_token_log_probs_gradient(Kernels k) {
    const int rows = length(60), cols = at_least_1(200);
    const Floats dy(rows), logits((size_t)rows * cols), lse(rows), dlogits((size_t)rows * cols);
    const Ints ids(rows, 0, cols - 1);
    k.token_log_probs_gradient(dy, logits, ids, lse, dlogits, rows, cols);
}
void fuzz_top_k(Kernels k) {
    const int rows = length(40), cols = at_least_1(300), top = from(1, cols);
    const Floats x((size_t)rows * cols), values((size_t)rows * top);
    const Ints indices((size_t)rows * top, 0, 0);
    k.top_k(x, values, indices, rows, cols, top);
}

/** A table of up to four parameters: `blocks` addresses, the size, and `settings` numbers. */
struct Table {
    const int count = from(0, 4), columns;
    Block<double> rows;
    Floats* blocks[4][4];
    size_t pieces = 0;
    Table(int num_blocks, int settings) : columns(num_blocks + 1 + settings), rows((size_t)count * columns) {
        for (int i = 0; i < 4; i++) {
            const int size = length(9000);
            for (int b = 0; b < 4; b++) blocks[i][b] = i < count && b < num_blocks ? new Floats(size) : nullptr;
            if (i >= count) continue;
            double* row = rows.data + i * columns;
            for (int b = 0; b < num_blocks; b++) row[b] = (double)(uintptr_t)blocks[i][b]->data;
            row[num_blocks] = size;
            for (int s = 0; s < settings; s++) row[num_blocks + 1 + s] = 0.1;
            pieces += ((size_t)size + 4095) / 4096;
        }
    }
    ~Table() {
        for (auto& each : blocks)
            for (Floats* block : each) delete block;
    }
};
void fuzz_global_norm(Kernels k) {
    const Table table(1, 0);
    const Floats norm(1), partial(table.pieces);
    k.global_norm(table.rows, table.count, norm, partial);
}
void fuzz_adamw(Kernels k) {
    const Table table(4, 1);
    const Floats norm(1);
    k.adamw(table.rows, table.count, maybe(norm), 1, 1e-3, 0.9, 0.95, 1e-8, 0.1, 0.05);
}
void fuzz_sgd(Kernels k) {
    const Table table(3, 1);
    const Floats norm(1);
    k.sgd(table.rows, table.count, maybe(norm), 1, 1e-3, 0.9, chance(50));
}
void fuzz_lion(Kernels k) {
    const Table table(3, 1);
    const Floats norm(1);
    k.lion(table.rows, table.count, maybe(norm), 1, 1e-3, 0.9, 0.99);
}
void fuzz_write_rows(Kernels k) {
    const int batch = from(0, 4), num_rows = length(20), offset = from(0, 5), capacity = offset + num_rows + from(0, 5), row_size = length(60);
    const Floats target((size_t)batch * capacity * row_size), rows((size_t)batch * num_rows * row_size);
    k.write_rows(target, rows, batch, capacity, num_rows, offset, row_size);
}

void fuzz_widen(Kernels k) {
    const int count = length(9000);
    const Bytes x{(size_t)2 * count, 255};
    const Floats y(count);
    k.widen(x, y, count, chance(50));
}

/** A weight in one of the kinds of quantized.cc. */
struct Quantized {
    const int kind = from(0, 5);
    const int block = kind < 2 ? 32 : kind < 4 ? 256 : 1;
    const int rows = at_least_1(70), cols = block * from(1, kind < 4 ? 3 : 99);
    const size_t blocks = (size_t)rows * (cols / block);
    const size_t strip_bytes = (cols / block) * (size_t)(const int[]){544, 288, 2368, 3360, 32, 32}[kind];
    const Bytes source{blocks * (size_t)(const int[]){34, 18, 144, 210, 2, 2}[kind], 255};
    const Bytes strips{(size_t)(rows + 15) / 16 * strip_bytes, 255};
};
void fuzz_quantized_pack(Kernels k) {
    const Quantized w;
    k.quantized_pack(w.source, w.strips, w.kind, w.rows, w.cols, 1);
}
void fuzz_quantized_linear(Kernels k) {
    const Quantized w;
    k.quantized_pack(w.source, w.strips, w.kind, w.rows, w.cols, 1);
    const int rows = length(20);
    const Floats x((size_t)rows * w.cols), bias(w.rows), y((size_t)rows * w.rows), workspace(w.kind < 4 ? (size_t)rows * w.cols * 11 / 32 : 0);
    k.quantized_linear(x, w.strips, maybe(bias), y, workspace, w.kind, rows, w.cols, w.rows);
}
void fuzz_quantized_activations(Kernels k) {
    const Quantized w;
    const int rows = length(20);
    const Floats x((size_t)rows * w.cols), workspace(w.kind < 4 ? (size_t)rows * w.cols * 11 / 32 : 0);
    k.quantized_activations(x, workspace, w.kind, rows, w.cols);
}
void fuzz_quantized_part(Kernels k) {
    const Quantized w;
    k.quantized_pack(w.source, w.strips, w.kind, w.rows, w.cols, 1);
    const int rows = length(20), first = from(0, (w.rows - 1) / 16) * 16, last = from(first + 1, w.rows);
    const Floats x((size_t)rows * w.cols), bias(w.rows), y((size_t)rows * w.rows), workspace(w.kind < 4 ? (size_t)rows * w.cols * 11 / 32 : 0);
    k.quantized_activations(x, workspace, w.kind, rows, w.cols);
    k.quantized_part(x, w.strips + first / 16 * w.strip_bytes, maybe(bias), y, workspace, w.kind, rows, w.cols, w.rows, first, last);
}
void fuzz_quantized_rows(Kernels k) {
    const Quantized w;
    k.quantized_pack(w.source, w.strips, w.kind, w.rows, w.cols, 1);
    const bool picks = chance(50);
    const int count = picks ? length(40) : w.rows;
    const Ints ids(count, 0, w.rows - 1);
    const Floats y((size_t)count * w.cols);
    k.quantized_rows(w.strips, picks ? ids.get() : nullptr, y, w.kind, count, w.cols);
}

void fuzz_quantize(Kernels k) {
    const int type = (const int[]){2, 8, 10, 11, 12, 13, 14}[from(0, 6)], count = length(20);
    const int bytes = (const int[]){18, 34, 84, 110, 144, 176, 210}[type == 2 ? 0 : type == 8 ? 1 : type - 8];
    const size_t size = (size_t)count * (type < 10 ? 32 : 256);
    const Floats x(size);
    if (chance(30)) for (size_t i = 0; i < size; i++) x[i] = chance(50) ? any_float() * 1e-42f : x[0];
    const Bytes blocks(count * (size_t)bytes, 255);
    const Block<double> scales(count);
    k.quantize(x, blocks, scales, type, count);
}

/** Blocks of the allocator keep what is written to them and never overlap. */
void fuzz_allocator() {
    constexpr int kBlocks = 40;
    static uint8_t* blocks[kBlocks];
    static size_t sizes[kBlocks];
    const int i = from(0, kBlocks - 1);
    for (size_t at = 0; at < sizes[i]; at += sizes[i] > 1 ? sizes[i] - 1 : 1) {
        if (blocks[i][at] == (uint8_t)i) continue;
        fprintf(stderr, "a block of %zu bytes was overwritten\n", sizes[i]);
        abort();
    }
    heed::release(blocks[i]);
    sizes[i] = (size_t)from(0, 1 << from(1, 20));
    blocks[i] = static_cast<uint8_t*>(heed::allocate(sizes[i]));
    if ((uintptr_t)blocks[i] % 64 != 0) abort();
    memset(blocks[i], i, sizes[i]);
}

struct Case {
    const char* name;
    void (*run)(Kernels);
};
// A kernel without a case does not compile.
const Case cases[] = {
#define HEED_CASE(name, args) {#name, fuzz_##name},
    HEED_KERNELS(HEED_CASE)
#undef HEED_CASE
};
constexpr int kNumCases = sizeof cases / sizeof *cases;

}  // namespace

int main(int, char** arguments) {
    const double seconds = atof(arguments[1]);
    const uint64_t seed = strtoull(arguments[2], nullptr, 10);
    const KernelTable* tables[3];
    const char* names[3];
    int num_tables = 0;
    const auto add = [&](const char* name, bool available, const KernelTable& table) {
        if (!available) return;
        names[num_tables] = name;
        tables[num_tables++] = &table;
    };
#if defined(__x86_64__)
    __builtin_cpu_init();
    add("avx512", __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vl"), avx512_kernels);
    add("avx2", __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"), avx2_kernels);
#elif defined(__aarch64__)
    add("neon", true, neon_kernels);
#endif
    add("plain", true, plain_kernels);

    constexpr size_t kNameBytes = 100;
    const int file = open(arguments[3], O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (file < 0 || ftruncate(file, kNameBytes) != 0) return 2;
    char* current = static_cast<char*>(mmap(nullptr, kNameBytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0));
    heed::set_num_threads(2);
    const time_t start = time(nullptr);
    uint64_t runs = 0;
    do {
        state = seed + runs;
        const uint64_t own_seed = state;
        random32();
        const int table = from(0, num_tables - 1), number = from(0, kNumCases - 1);
        snprintf(current, kNameBytes, "%s_%s, seed %llu\n", names[table], cases[number].name, (unsigned long long)own_seed);
        cases[number].run(*tables[table]);
        fuzz_allocator();
        runs++;
    } while (difftime(time(nullptr), start) < seconds);
    printf("%llu calls of %d kernels on", (unsigned long long)runs, kNumCases);
    for (int i = 0; i < num_tables; i++) printf(" %s", names[i]);
    printf(": no finding\n");
    heed::set_num_threads(1);
}
