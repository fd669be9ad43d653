// The C interface of the kernels: pointers and integers only, the same for the Node addon and for WebAssembly.
//
// A kernel is one line here, one definition `void HEED_KERNEL(name)(...)` in a .cc file, and one line of types in
// src/backends/library.ts. On x86 each .cc file is compiled once per instruction set and the table of the best one is
// chosen at load time; on WebAssembly there is one.
#pragma once

#include <stddef.h>
#include <stdint.h>

// What every attention kernel is told, in attention.cc: q [batch, queries, heads, head_dim], k and v [batch, capacity,
// kv_heads, head_dim | value_dim] of which `keys` rows count, bias with its strides (0 along a broadcast axis) or null,
// key_mask [batch, keys] or null; window 0 is none, softcap 0 is none, drop_below 0 is no dropout.
#define HEED_ATTENTION_PROBLEM                                                                                      \
    const float *q, const float *k, const float *v, const float *bias, const int32_t *key_mask, int batch, int queries, \
        int keys, int capacity, int heads, int kv_heads, int head_dim, int value_dim, int is_causal, int window,    \
        float scale, float softcap, int bias_batch, int bias_head, int bias_row, uint32_t drop_below,               \
        float drop_scale, int32_t seed

// One parameter for each of the five axes of a shape whose neighbouring axes have been joined where they could be.
#define HEED_AXES(type, name) type name##0, type name##1, type name##2, type name##3, type name##4
#define HEED_AXES_OF(name) {name##0, name##1, name##2, name##3, name##4}

#define HEED_KERNELS(KERNEL)                                                                                       \
    /* matmul.cc: a product of matrices, see there */                                                               \
    KERNEL(matmul, (const float* a, const float* b, const float* bias, float* c, float* before, int rows, int cols, \
                    int depth, int is_a_transposed, int is_b_transposed, int is_accumulated, int activation,        \
                    int batch, size_t a_step, size_t b_step))                                                       \
    KERNEL(panel_product, (const float* x, const float* panels, const float* bias, float* y, int rows, int cols,    \
                           int depth, int activation))                                                              \
    /* panels.cc: weights as panel_product reads them */                                                            \
    KERNEL(panel_cols, (int32_t* cols))                                                                             \
    KERNEL(pack_panels, (const float* weight, float* panels, int depth, int cols, int is_transposed))               \
    KERNEL(unpack_panels, (const float* panels, float* weight, int depth, int cols, int is_transposed))             \
    /* elementwise.cc, over arrays of `count` elements or of five axes */                                           \
    KERNEL(binary, (const uint8_t* a, const uint8_t* b, uint8_t* y, int kind, int type, HEED_AXES(int, size),       \
                    HEED_AXES(ptrdiff_t, a_stride), HEED_AXES(ptrdiff_t, b_stride)))                                \
    KERNEL(unary, (const float* x, float* y, int count, int kind, float alpha))                                     \
    KERNEL(clip, (const float* x, float* y, int count, float low, float high))                                      \
    KERNEL(select, (const uint8_t* condition, const int32_t* a, const int32_t* b, int32_t* y, int count, int span)) \
    KERNEL(convert, (const uint8_t* x, uint8_t* y, int count, int from, int to))                                    \
    KERNEL(fill, (float* y, int count, float value))                                                                \
    /* reduce.cc: x [outer, count, inner] or [rows, count] */                                                       \
    KERNEL(reduce, (const float* x, float* y, int outer, int count, int inner, int kind))                           \
    KERNEL(reduce_int, (const int32_t* x, int32_t* y, int outer, int count, int inner))                             \
    KERNEL(arg_extreme, (const float* x, int32_t* y, int rows, int count, int sign))                                \
    /* softmax.cc */                                                                                                \
    KERNEL(softmax, (const float* x, float* y, int rows, int cols))                                                 \
    /* transpose.cc */                                                                                              \
    KERNEL(copy, (const uint8_t* from, uint8_t* to, int bytes, HEED_AXES(int, size), HEED_AXES(ptrdiff_t, from_stride), \
                  HEED_AXES(ptrdiff_t, to_stride)))                                                                 \
    KERNEL(gather, (const float* x, const int32_t* ids, float* y, int outer, int size, int count, int inner))       \
    KERNEL(segment_sum, (const float* x, const int32_t* ids, float* y, int count, int segments, int inner))         \
    /* accumulate.cc: sum, term [count] */                                                                          \
    KERNEL(accumulate, (float* sum, const float* term, int count))                                                  \
    /* norm.cc: x, y [rows, cols]; weight, bias [cols]; mean, inverse [rows] */                                     \
    KERNEL(rms_norm, (const float* x, const float* weight, float* y, float* inverse, int rows, int cols, float eps)) \
    KERNEL(rms_norm_gradient, (const float* dy, const float* x, const float* weight, const float* inverse,          \
                               float* dx, float* dweight, float* workspace, int parts, int rows, int cols))         \
    KERNEL(layer_norm, (const float* x, const float* weight, const float* bias, float* y, float* mean, float* inverse, \
                        int rows, int cols, float eps))                                                             \
    KERNEL(layer_norm_gradient, (const float* dy, const float* x, const float* weight, const float* mean,           \
                                 const float* inverse, float* dx, float* dweight, float* dbias, float* workspace,   \
                                 int parts, int rows, int cols))                                                               \
    /* attention.cc: out [batch, queries, heads, value_dim]; lse, delta [batch, heads, queries] */                  \
    KERNEL(attention, (HEED_ATTENTION_PROBLEM, float* out, float* lse, float* workspace))                           \
    KERNEL(attention_step, (HEED_ATTENTION_PROBLEM, float* out, float* partial, int splits))                        \
    KERNEL(attention_each, (const double* table, int count, const float* q, const float* k, const float* v, float* out, \
                            float* partial, int heads, int kv_heads, int head_dim, int value_dim, int window,       \
                            float scale, float softcap))                                                            \
    KERNEL(attention_gradient, (HEED_ATTENTION_PROBLEM, const float* out, const float* lse, const float* dout,      \
                                float* dq, float* dk, float* dv, float* dbias, float* workspace, int splits))       \
    /* rotary.cc: x, y [rows, heads, head_dim]; cos, sin [table_rows, half] */                                      \
    KERNEL(rotary, (const float* x, const float* cos, const float* sin, float* y, int rows, int table_rows, int heads, \
                    int head_dim, int half, int is_interleaved, float direction))                                   \
    /* activation.cc, dropout.cc: element by element; kind is an Activation of activation.h */                      \
    KERNEL(activation, (const float* x, float* y, int count, int kind))                                             \
    KERNEL(activation_gradient, (const float* dy, const float* x, float* dx, int count, int kind))                  \
    KERNEL(swiglu, (const float* gate, const float* up, float* y, int count))                                       \
    KERNEL(swiglu_gradient, (const float* dy, const float* gate, const float* up, float* dgate, float* dup, int count)) \
    KERNEL(dropout, (const float* x, float* y, int count, uint32_t drop_below, float drop_scale, int32_t seed))     \
    /* embedding.cc: ids [count]; weight [vocab, hidden]; y [count, hidden] */                                      \
    KERNEL(embedding, (const int32_t* ids, const float* weight, float* y, int count, int hidden))                   \
    KERNEL(embedding_gradient, (const int32_t* ids, const float* dy, float* dweight, int count, int vocab, int hidden,   \
                                int is_accumulated))                                                                 \
    /* loss.cc: logits [rows, cols]; labels, lse, losses [rows]; loss, weight, dloss [1] */                         \
    KERNEL(cross_entropy, (const float* logits, const int32_t* labels, float* loss, float* lse, float* weight,      \
                           float* losses, int rows, int cols, int ignored, float smoothing, int is_mean))           \
    KERNEL(cross_entropy_gradient, (const float* dloss, const float* logits, const int32_t* labels, const float* lse, \
                                    const float* weight, float* dlogits, int rows, int cols, int ignored,           \
                                    float smoothing))                                                               \
    KERNEL(token_log_probs, (const float* logits, const int32_t* ids, float* y, float* lse, int rows, int cols))    \
    KERNEL(token_log_probs_gradient, (const float* dy, const float* logits, const int32_t* ids, const float* lse,   \
                                      float* dlogits, int rows, int cols))                                          \
    /* topk.cc: x [rows, cols]; values, indices [rows, k] */                                                        \
    KERNEL(top_k, (const float* x, float* values, int32_t* indices, int rows, int cols, int k))                     \
    /* optimizer.cc: over many tensors, one row of `table` each */                                                  \
    KERNEL(global_norm, (const double* table, int count, float* norm, float* partial))                              \
    KERNEL(adamw, (const double* table, int count, const float* norm, double max_norm, double learning_rate,        \
                   double beta1, double beta2, double eps, double correction1, double correction2))                 \
    KERNEL(sgd, (const double* table, int count, const float* norm, double max_norm, double learning_rate,          \
                 double momentum, int is_nesterov))                                                                 \
    KERNEL(lion, (const double* table, int count, const float* norm, double max_norm, double learning_rate,         \
                  double beta1, double beta2))                                                                      \
    /* cache.cc: target [batch, capacity, row_size]; rows [batch, num_rows, row_size] */                            \
    KERNEL(write_rows, (float* target, const float* rows, int batch, int capacity, int num_rows, int offset, int row_size)) \
    /* cache.cc, attention.cc: packing is a Packing of packed_rows.h; the k and v of attention_step_packed are packed rows */ \
    KERNEL(pack_rows, (const float* x, uint8_t* packed, int packing, int rows, int dim))                            \
    KERNEL(unpack_rows, (const uint8_t* packed, float* x, int packing, int rows, int dim))                          \
    KERNEL(attention_step_packed, (HEED_ATTENTION_PROBLEM, float* out, float* partial, int splits, int packing))    \
    /* widen.cc: x, y [count] */                                                                                     \
    KERNEL(widen, (const uint8_t* x, float* y, int count, int is_bfloat))                                           \
    /* quantized.cc: kind is a Kind of it */                                                                        \
    KERNEL(quantized_pack, (const uint8_t* blocks, uint8_t* strips, int kind, int rows, int cols, int row_step))    \
    KERNEL(quantized_activations, (const float* x, float* workspace, int kind, int rows, int cols))                 \
    KERNEL(quantized_part, (const float* x, const uint8_t* strips, const float* bias, float* y, float* workspace,   \
                            int kind, int rows, int cols, int out, int first, int last))                            \
    KERNEL(quantized_linear, (const float* x, const uint8_t* strips, const float* bias, float* y, float* workspace, \
                              int kind, int rows, int cols, int out))                                               \
    KERNEL(quantized_rows, (const uint8_t* strips, const int32_t* ids, float* y, int kind, int count, int cols))    \
    /* quantize.cc: type is ggml's number of one */                                                                \
    KERNEL(quantize, (const float* x, uint8_t* blocks, double* scales, int type, int count))

#define HEED_JOIN_(a, b) a##_##b
#define HEED_JOIN(a, b) HEED_JOIN_(a, b)
/** The name of a kernel in this instruction set, such as `avx512_rms_norm`. */
#define HEED_KERNEL(name) HEED_JOIN(HEED_ISA, name)

/** One function pointer per kernel. */
struct KernelTable {
#define HEED_FIELD(name, args) void(*name) args;
    HEED_KERNELS(HEED_FIELD)
#undef HEED_FIELD
};

#ifdef HEED_ISA
extern "C" {
#if defined(__wasm__)
#define HEED_DECLARE(name, args) __attribute__((export_name("wasm_" #name))) void HEED_KERNEL(name) args;
#else
#define HEED_DECLARE(name, args) void HEED_KERNEL(name) args;
#endif
HEED_KERNELS(HEED_DECLARE)
#undef HEED_DECLARE
}
#endif
