// Products of blocks that lie in the first cache, for kernels that make their operands as they go. The left operand may
// have any strides, so its transpose costs nothing; the rows of the right one are contiguous.
#pragma once

#include <stddef.h>

#include "simd.h"

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

}  // namespace
