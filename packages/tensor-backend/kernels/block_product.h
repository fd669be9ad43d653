// Products of blocks that lie in the first cache, for kernels that make their operands as they go. The left operand may
// have any strides, so its transpose costs nothing; the rows of the right one are contiguous.
#pragma once

#include <stddef.h>

#include "simd.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace {

// Rows of C that stay in registers, each as kBlockVectors vectors.
#if defined(HEED_AVX512) || defined(HEED_NEON)
constexpr int kBlockRows = 8;
#elif defined(HEED_AVX2)
constexpr int kBlockRows = 6;
#else
constexpr int kBlockRows = 4;
#endif
constexpr int kBlockVectors = 2;

/** Element (i, k) lies at data[i * row + k * col]. */
struct Strided {
    const float* data;
    size_t row;
    size_t col;
};

template <int kRows, int kVectors, bool kWhole>
HEED_INLINE void block_tile(const float* a, size_t a_row, size_t a_col, const float* b, size_t b_row, float* c, size_t c_row,
                            int depth, int last, bool accumulate) {
    constexpr int L = Vec::kLanes;
    const int n = kWhole ? L : last;
    Vec sums[kRows][kVectors];
#pragma GCC unroll 8
    for (int i = 0; i < kRows; i++) {
#pragma GCC unroll 2
        for (int v = 0; v < kVectors; v++)
            sums[i][v] = !accumulate ? all(0) : v == kVectors - 1 ? load_n(c + i * c_row + v * L, n) : load(c + i * c_row + v * L);
    }
    for (int k = 0; k < depth; k++) {
        Vec right[kVectors];
#pragma GCC unroll 2
        for (int v = 0; v < kVectors; v++) right[v] = v == kVectors - 1 ? load_n(b + v * L, n) : load(b + v * L);
#pragma GCC unroll 8
        for (int i = 0; i < kRows; i++) {
            const Vec left = all(a[i * a_row]);
#pragma GCC unroll 2
            for (int v = 0; v < kVectors; v++) sums[i][v] = fma(left, right[v], sums[i][v]);
        }
        a += a_col;
        b += b_row;
    }
#pragma GCC unroll 8
    for (int i = 0; i < kRows; i++) {
#pragma GCC unroll 2
        for (int v = 0; v < kVectors; v++) {
            if (v == kVectors - 1) store_n(c + i * c_row + v * L, sums[i][v], n);
            else store(c + i * c_row + v * L, sums[i][v]);
        }
    }
}

/** kRows rows of the product, all columns. */
template <int kRows>
__attribute__((noinline)) void block_rows(const float* a, size_t a_row, size_t a_col, const float* b, size_t b_row, float* c,
                                          size_t c_row, int cols, int depth, bool accumulate) {
    constexpr int L = Vec::kLanes;
    int j = 0;
    for (; j + kBlockVectors * L <= cols; j += kBlockVectors * L)
        block_tile<kRows, kBlockVectors, true>(a, a_row, a_col, b + j, b_row, c + j, c_row, depth, L, accumulate);
    for (; j + L <= cols; j += L) block_tile<kRows, 1, true>(a, a_row, a_col, b + j, b_row, c + j, c_row, depth, L, accumulate);
    if (j < cols) block_tile<kRows, 1, false>(a, a_row, a_col, b + j, b_row, c + j, c_row, depth, cols - j, accumulate);
}

/** C[rows, cols] = A[rows, depth] · B[depth, cols], or C += it. Rows of B lie b_row apart, those of C c_row. */
inline void block_product(Strided a, const float* b, size_t b_row, float* c, size_t c_row, int rows, int cols, int depth,
                          bool accumulate) {
    int i = 0;
    for (; i + kBlockRows <= rows; i += kBlockRows)
        block_rows<kBlockRows>(a.data + i * a.row, a.row, a.col, b, b_row, c + i * c_row, c_row, cols, depth, accumulate);
    for (; i + 4 <= rows; i += 4)
        block_rows<4>(a.data + i * a.row, a.row, a.col, b, b_row, c + i * c_row, c_row, cols, depth, accumulate);
    for (; i < rows; i++)
        block_rows<1>(a.data + i * a.row, a.row, a.col, b, b_row, c + i * c_row, c_row, cols, depth, accumulate);
}

/** to[j * to_row + i] = from[i * from_row + j] for a block of 4 x 4. */
HEED_INLINE void transpose_4x4(const float* from, size_t from_row, float* to, size_t to_row) {
#if defined(__SSE2__)
    __m128 a = _mm_loadu_ps(from), b = _mm_loadu_ps(from + from_row);
    __m128 c = _mm_loadu_ps(from + 2 * from_row), d = _mm_loadu_ps(from + 3 * from_row);
    _MM_TRANSPOSE4_PS(a, b, c, d);
    _mm_storeu_ps(to, a);
    _mm_storeu_ps(to + to_row, b);
    _mm_storeu_ps(to + 2 * to_row, c);
    _mm_storeu_ps(to + 3 * to_row, d);
#elif defined(HEED_NEON)
    const float32x4x2_t ab = vtrnq_f32(vld1q_f32(from), vld1q_f32(from + from_row));
    const float32x4x2_t cd = vtrnq_f32(vld1q_f32(from + 2 * from_row), vld1q_f32(from + 3 * from_row));
    vst1q_f32(to, vcombine_f32(vget_low_f32(ab.val[0]), vget_low_f32(cd.val[0])));
    vst1q_f32(to + to_row, vcombine_f32(vget_low_f32(ab.val[1]), vget_low_f32(cd.val[1])));
    vst1q_f32(to + 2 * to_row, vcombine_f32(vget_high_f32(ab.val[0]), vget_high_f32(cd.val[0])));
    vst1q_f32(to + 3 * to_row, vcombine_f32(vget_high_f32(ab.val[1]), vget_high_f32(cd.val[1])));
#elif defined(__wasm_simd128__)
    const v128_t a = wasm_v128_load(from), b = wasm_v128_load(from + from_row);
    const v128_t c = wasm_v128_load(from + 2 * from_row), d = wasm_v128_load(from + 3 * from_row);
    const v128_t ab_low = wasm_i32x4_shuffle(a, b, 0, 4, 1, 5), ab_high = wasm_i32x4_shuffle(a, b, 2, 6, 3, 7);
    const v128_t cd_low = wasm_i32x4_shuffle(c, d, 0, 4, 1, 5), cd_high = wasm_i32x4_shuffle(c, d, 2, 6, 3, 7);
    wasm_v128_store(to, wasm_i64x2_shuffle(ab_low, cd_low, 0, 2));
    wasm_v128_store(to + to_row, wasm_i64x2_shuffle(ab_low, cd_low, 1, 3));
    wasm_v128_store(to + 2 * to_row, wasm_i64x2_shuffle(ab_high, cd_high, 0, 2));
    wasm_v128_store(to + 3 * to_row, wasm_i64x2_shuffle(ab_high, cd_high, 1, 3));
#else
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++) to[j * to_row + i] = from[i * from_row + j];
#endif
}

/** to[cols, rows] = the transpose of from[rows, cols]; rows lie from_row and to_row apart. */
inline void block_transpose(const float* from, size_t from_row, float* to, size_t to_row, int rows, int cols) {
    const int rows4 = rows & ~3, cols4 = cols & ~3;
    for (int i = 0; i < rows4; i += 4)
        for (int j = 0; j < cols4; j += 4) transpose_4x4(from + i * from_row + j, from_row, to + j * to_row + i, to_row);
    for (int i = 0; i < rows; i++)
        for (int j = i < rows4 ? cols4 : 0; j < cols; j++) to[j * to_row + i] = from[i * from_row + j];
}

}  // namespace
