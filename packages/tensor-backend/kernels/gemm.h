// The inside of a matrix product: a tile of C in registers, and the packing that feeds it. matmul.cc blocks for the
// caches and splits over threads. Goto & van de Geijn 2008, "Anatomy of high-performance matrix multiplication".
#pragma once

#include <stddef.h>
#include <string.h>

#include "activation.h"
#include "simd.h"
#include "transpose.h"

namespace {

// A tile is kTileRows x kTileCols: its sums fill the registers, less those for a row of B and one element of A, and for a
// product where multiplying and adding are two instructions. V8 has 15 registers to give.
#if defined(HEED_AVX512)
constexpr int kTileRows = 12;
#elif defined(HEED_AVX2) || defined(__wasm_relaxed_simd__)
constexpr int kTileRows = 6;
#elif defined(HEED_NEON)
constexpr int kTileRows = 8;
#elif defined(__wasm_simd128__)
constexpr int kTileRows = 5;
#else
constexpr int kTileRows = 4;
#endif
constexpr int kTileVectors = 2;
constexpr int kTileCols = kTileVectors * Vec::kLanes;
constexpr int kLine = 16;  // floats of a cache line
constexpr int kFetchSteps = 4;  // steps of a tile for each line of what is needed next

/** A matrix by its strides: element (i, j) lies at data[i * row + j * col]; one of the strides is 1. */
struct Matrix {
    const float* data;
    size_t row;
    size_t col;

    Matrix at(int i, int j) const { return {data + i * row + j * col, row, col}; }
};

/** Where the sums of a tile go: C = activation(sums (+ C) (+ bias)). Pointers are to the tile's first element. */
struct Output {
    float* c;
    float* before;      // gets the value before the activation; null without
    const float* bias;  // one value per column; null without
    size_t stride;      // of c and before, between rows
    bool accumulate;
    Activation activation;

    Output at(int i, int j) const {
        return {c + i * stride + j, before ? before + i * stride + j : nullptr, bias ? bias + j : nullptr, stride, accumulate, activation};
    }
};

inline void activate_tile(const Output& to, int rows, int cols) {
    with_activation(to.activation, [&](auto activation) {
        for (int i = 0; i < rows; i++) {
            float* c = to.c + i * to.stride;
            float* before = to.before ? to.before + i * to.stride : nullptr;
            HEED_FOR_VECTORS(j, n, cols, {
                const Vec x = load_n(c + j, n);
                if (before) store_n(before + j, x, n);
                store_n(c + j, activate<activation.value>(x), n);
            });
        }
    });
}

/**
 * kRows x cols sums over `depth`, cols in the last of kVectors vectors. Element (i, p) of A lies at a[p * kRows + i] when
 * packed, else at a[i * a_row + p]; row p of B at b + p * b_row. What is needed next, a line for every kFetchSteps steps from
 * `ahead` on, is fetched into the second-level cache.
 */
template <int kRows, int kVectors, bool kIsPacked>
__attribute__((noinline)) void tile_product(int depth, const float* a, size_t a_row, const float* b, size_t b_row, int cols,
                                            const Output& to, const float* ahead) {
    constexpr int L = Vec::kLanes;
    Vec sums[kRows][kVectors];
#pragma GCC unroll 16
    for (int i = 0; i < kRows; i++) {
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; v++) {
            sums[i][v] = all(0);
            __builtin_prefetch(to.c + i * to.stride + v * L, 1);  // arrives while the sums are formed
        }
    }
#if defined(HEED_AVX512)
#pragma GCC unroll 4  // else the counting takes turns of a port that multiplies
#endif
    for (int p = 0; p < depth; p++) {
        if (p % kFetchSteps == 0) __builtin_prefetch(ahead + p / kFetchSteps * kLine, 0, 2);
        Vec row[kVectors];
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; v++) row[v] = load(b + v * L);
#pragma GCC unroll 16
        for (int i = 0; i < kRows; i++) {
            Vec x = all(kIsPacked ? a[i] : a[i * a_row]);
            stay(x);
#pragma GCC unroll 4
            for (int v = 0; v < kVectors; v++) {
                sums[i][v] = fma(x, row[v], sums[i][v]);
                stay(sums[i][v]);
            }
        }
        a += kIsPacked ? kRows : 1;
        b += b_row;
    }
    Vec results[kRows][kVectors];
#pragma GCC unroll 16
    for (int i = 0; i < kRows; i++) {
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; v++) {
            results[i][v] = sums[i][v];
            stay_in_memory(results[i][v]);
        }
    }
    const int last = cols - (kVectors - 1) * L;
#pragma GCC unroll 16
    for (int i = 0; i < kRows; i++) {
        float* c = to.c + i * to.stride;
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; v++) {
            const int n = v == kVectors - 1 ? last : L;
            Vec y = results[i][v];
            if (to.accumulate) y = y + load_n(c + v * L, n);
            if (to.bias) y = y + load_n(to.bias + v * L, n);
            store_n(c + v * L, y, n);
        }
    }
    if (to.activation != Activation::kNone) activate_tile(to, kRows, cols);
}

using TileProduct = void (*)(int depth, const float* a, size_t a_row, const float* b, size_t b_row, int cols, const Output& to,
                             const float* ahead);

template <int kRows, bool kIsPacked, int kVectors = kTileVectors>
TileProduct tile_product_of(int cols) {
    if constexpr (kVectors == 1) return tile_product<kRows, 1, kIsPacked>;
    else if (cols <= (kVectors - 1) * Vec::kLanes) return tile_product_of<kRows, kIsPacked, kVectors - 1>(cols);
    else return tile_product<kRows, kVectors, kIsPacked>;
}

/** tile_product by its numbers of rows, 1 to kTileRows, and of columns. */
template <bool kIsPacked, int kRows = kTileRows>
TileProduct tile_product_for(int rows, int cols) {
    if constexpr (kRows == 0) return nullptr;
    else if (rows < kRows) return tile_product_for<kIsPacked, kRows - 1>(rows, cols);
    else return tile_product_of<kRows, kIsPacked>(cols);
}

/** Columns [0, cols) of B as rows of kTileCols floats, zeros after the last column: to[p * kTileCols + j]. cols <= kTileCols. */
inline void pack_panel(Matrix b, int depth, int cols, float* to) {
    constexpr int L = Vec::kLanes;
    for (int v = 0; v < kTileVectors; v++) {
        const int n = cols - v * L < L ? cols - v * L : L;
        for (int p = 0; p < depth; p += L) {
            const int steps = depth - p < L ? depth - p : L;
            const float* from = b.data + p + v * L * b.col;
            float* block = to + p * kTileCols + v * L;
            if (n == L && steps == L) {
                transpose_lanes(from, b.col, block, kTileCols);
                continue;
            }
            for (int s = 0; s < steps; s++)
                for (int j = 0; j < L; j++) block[s * kTileCols + j] = j < n ? from[j * b.col + s] : 0.0f;
        }
    }
}

/** The same of a B whose rows are contiguous, row by row over all its panels, one after another in `to`. */
inline void pack_rows_of_panels(Matrix b, int depth, int cols, float* to) {
    constexpr int kRowsAhead = 8;
    for (int p = 0; p < depth; p++) {
        const float* from = b.data + p * b.row;
        const float* ahead = from + (p + kRowsAhead < depth ? kRowsAhead * b.row : 0);
        float* row = to + p * kTileCols;
        int j = 0;
        for (; j + kTileCols <= cols; j += kTileCols, row += (size_t)depth * kTileCols) {
            for (size_t byte = 0; byte < sizeof(float) * kTileCols; byte += 64) __builtin_prefetch((const char*)(ahead + j) + byte);
#pragma GCC unroll 4
            for (int v = 0; v < kTileVectors; v++) store(row + v * Vec::kLanes, load(from + j + v * Vec::kLanes));
        }
        for (int v = 0; j < cols && v < kTileVectors; v++) {
            const int n = cols - j - v * Vec::kLanes;
            const float* rest = from + j + v * Vec::kLanes;
            store(row + v * Vec::kLanes, n >= Vec::kLanes ? load(rest) : n > 0 ? load_first(rest, n) : all(0));
        }
    }
}

/** Columns [0, cols) of B in panels of kTileCols, each depth x kTileCols. */
inline void pack_columns(Matrix b, int depth, int cols, float* to) {
    constexpr int kPanels = 8;  // a row of so many is a few cache lines in a row, and their places in `to` stay open
    const int step = b.col == 1 ? kPanels * kTileCols : kTileCols;
    for (int j = 0; j < cols; j += step) {
        const int n = cols - j < step ? cols - j : step;
        if (b.col == 1) pack_rows_of_panels(b.at(0, j), depth, n, to + (size_t)j * depth);
        else pack_panel(b.at(0, j), depth, n, to + (size_t)j * depth);
    }
}

/** Rows [0, rows) of A: to[p * rows + i]. */
inline void pack_rows(Matrix a, int rows, int depth, float* to) {
    if (a.col == 1) return transpose_block(a.data, a.row, to, rows, rows, depth);
    constexpr int L = Vec::kLanes;
    // Whole vectors where there is room for them: the next steps write over the lanes too many.
    const int extra = (rows + L - 1) / L * L - rows;
    const int whole = a.col < L ? 0 : depth - (extra + rows - 1) / rows;
    int p = 0;
    for (; p < whole; p++) {
        for (int i = 0; i < rows; i += L) store(to + p * rows + i, load(a.data + p * a.col + i));
    }
    for (; p < depth; p++) {
        const float* from = a.data + p * a.col;
        HEED_FOR_VECTORS(i, n, rows, { store_n(to + p * rows + i, load_n(from + i, n), n); });
    }
}

/** Floats between rows of a copy of A: an odd number of cache lines, so that the rows of a tile fall into different sets. */
inline size_t copied_row(int depth) { return ((size_t)depth + 15) / 32 * 32 + 16; }

/** Rows [0, rows) of an A whose rows are contiguous, copied_row(depth) apart. */
inline void copy_rows(Matrix a, int rows, int depth, float* to) {
    for (int i = 0; i < rows; i++) memcpy(to + i * copied_row(depth), a.data + i * a.row, sizeof(float) * (size_t)depth);
}

}  // namespace
