// The matrix product C = activation(op(A) · op(B) (+ C) (+ bias)) for any sizes, blocked for the caches and split over
// threads; matrix-vector products and other short left sides go row by row of B, at the speed of memory.
#include <limits.h>

#include <atomic>

#include "allocator.h"
#include "api.h"
#include "gemm.h"
#include "threads.h"
#include "tiles.h"

using heed::parallel_for;

namespace {

// Steps of the sum per pass. A panel of B, kMaxDepth x kTileCols, stays in the first-level cache; with AVX-512, in the
// second-level cache, which feeds the tiles as well there, while each pass reads and writes all of C.
#if defined(HEED_AVX512)
constexpr int kMaxDepth = 768;
#else
constexpr int kMaxDepth = 384;
#endif
// Rows of A a task works on before it returns to B: kMaxDepth x that many floats stay in the second-level cache.
constexpr int kPanelsPerTask = 144 / kTileRows;
// Panels of B that pay for packing an A whose rows are contiguous: tiles of fewer rows read them as fast where they lie.
#if defined(HEED_AVX512)
constexpr int kMinPackPanels = 12;
#else
constexpr int kMinPackPanels = INT_MAX / kTileCols;
#endif
// Floats apart that two addresses fall into the same set of the first-level cache, or one of two.
constexpr int kSameSet = 512;
// Panels of B that pay for a copy of A.
constexpr int kMinCopyPanels = 8;
// Floats of B packed at a time, 4 MB: a share of the third-level cache.
constexpr int kMaxPacked = 1 << 20;
// Multiplications that pay for handing work to a thread, about 5 microseconds' worth.
constexpr double kParallelWork = 1 << 18;
// Rows of A in a block of dot products: its sums, kDotRows x 4, and its operands fit the registers.
#if defined(HEED_AVX512) || defined(HEED_NEON)
constexpr int kDotRows = 4;
#else
constexpr int kDotRows = 2;
#endif
// Where B's columns are contiguous, left sides of so few rows go through dot products, which need no packing: that of
// long rows is not paid back by this many uses; the sums across a vector at the end of short ones cost more.
constexpr int kMaxDotRows = 32;
constexpr int kMinDotDepth = 512;

struct Product {
    int rows, cols, depth;
    Matrix a, b;
    Output to;

    double work() const { return (double)rows * cols * depth; }
};

int ceil_div(int a, int b) { return (a + b - 1) / b; }
int min_of(int a, int b) { return a < b ? a : b; }
int max_of(int a, int b) { return a > b ? a : b; }
/** Where part i of `parts` even ones of [0, count) begins. */
int part_begin(int count, int parts, int i) { return (int)((long long)count * i / parts); }

/** Sums over a few rows of A and of transposed B at once, both contiguous. */
template <int kRows, int kCols>
void dot_tile(int depth, const float* a, size_t a_row, const float* b, size_t b_col, const Output& to) {
    Vec sums[kRows][kCols];
#pragma GCC unroll 8
    for (int i = 0; i < kRows; i++) {
#pragma GCC unroll 8
        for (int j = 0; j < kCols; j++) sums[i][j] = all(0);
    }
    const auto step = [&](int p, int n) __attribute__((always_inline)) {
        Vec x[kRows];
#pragma GCC unroll 8
        for (int i = 0; i < kRows; i++) x[i] = load_n(a + i * a_row + p, n);
#pragma GCC unroll 8
        for (int j = 0; j < kCols; j++) {
            const Vec y = load_n(b + j * b_col + p, n);
#pragma GCC unroll 8
            for (int i = 0; i < kRows; i++) sums[i][j] = fma(x[i], y, sums[i][j]);
        }
    };
    HEED_FOR_VECTORS(p, n, depth, { step(p, n); });
#pragma GCC unroll 8
    for (int i = 0; i < kRows; i++) {
#pragma GCC unroll 8
        for (int j = 0; j < kCols; j++) {
            float* c = to.c + i * to.stride + j;
            *c = sum(sums[i][j]) + (to.accumulate ? *c : 0.0f) + (to.bias ? to.bias[j] : 0.0f);
        }
    }
}

template <int kRows>
void dot_rows(const Product& p, int row, int begin, int end) {
    // More sums at once for one row, whose additions would otherwise wait for each other.
    constexpr int kCols = kRows == 1 ? 8 : 4;
    const float* a = p.a.at(row, 0).data;
    int j = begin;
    for (; j + kCols <= end; j += kCols) dot_tile<kRows, kCols>(p.depth, a, p.a.row, p.b.at(0, j).data, p.b.col, p.to.at(row, j));
    for (; j < end; j++) dot_tile<kRows, 1>(p.depth, a, p.a.row, p.b.at(0, j).data, p.b.col, p.to.at(row, j));
}

void dot_product(const Product& p) {
    parallel_for(p.cols, 1 + (int)(kParallelWork / 4 / ((double)p.rows * p.depth + 1)), [&](int begin, int end) {
        // Strips of B that stay in the second-level cache while all rows of A pass over them.
        const int strip = max_of(8, kMaxPacked / 8 / (p.depth + 1));
        for (int from = begin; from < end; from += strip) {
            const int upto = min_of(end, from + strip);
            int i = 0;
            for (; i + kDotRows <= p.rows; i += kDotRows) dot_rows<kDotRows>(p, i, from, upto);
            for (; i < p.rows; i++) dot_rows<1>(p, i, from, upto);
        }
        if (p.to.activation != Activation::kNone) activate_tile(p.to.at(0, begin), p.rows, end - begin);
    });
}

/** c[cols] += Σ x[p] · B[p, cols] over kSteps rows of B. */
template <int kSteps>
void add_rows(const float* x, size_t x_stride, Matrix b, float* c, int cols) {
    Vec factors[kSteps];
    for (int s = 0; s < kSteps; s++) factors[s] = all(x[s * x_stride]);
    const auto step = [&](int j, int n) __attribute__((always_inline)) {
        Vec y = load_n(c + j, n);
#pragma GCC unroll 8
        for (int s = 0; s < kSteps; s++) y = fma(factors[s], load_n(b.data + s * b.row + j, n), y);
        store_n(c + j, y, n);
    };
    HEED_FOR_VECTORS(j, n, cols, { step(j, n); });
}

/** c[cols] += x · B over `depth` rows of B, kSteps at a time. */
template <int kSteps>
void add_all_rows(const float* x, size_t x_stride, Matrix b, int depth, float* c, int cols) {
    int k = 0;
    for (; k + kSteps <= depth; k += kSteps) add_rows<kSteps>(x + k * x_stride, x_stride, b.at(k, 0), c, cols);
    for (; k < depth; k++) add_rows<1>(x + k * x_stride, x_stride, b.at(k, 0), c, cols);
}

/** What the sums are added to: C, the bias, both or nothing. */
void start_row(const Output& to, int cols) {
    HEED_FOR_VECTORS(j, n, cols, {
        Vec start = to.accumulate ? load_n(to.c + j, n) : all(0);
        if (to.bias) start = start + load_n(to.bias + j, n);
        store_n(to.c + j, start, n);
    });
}

/** One row of A times a B of long rows: each thread sums some of the columns. */
void row_product_by_columns(const Product& p) {
    // Floats of C that stay in the second-level cache: memory is read fastest in long pieces, two for each thread.
    constexpr int kStrip = 16384;
    const int piece = max_of(64 + (int)(kParallelWork / 4 / p.depth), p.cols / (2 * heed::num_threads()));
    parallel_for(p.cols, piece, [&](int begin, int end) {
        for (int j = begin; j < end; j += kStrip) {
            const int cols = min_of(kStrip, end - j);
            const Output to = p.to.at(0, j);
            start_row(to, cols);
            add_all_rows<8>(p.a.data, p.a.col, p.b.at(0, j), p.depth, to.c, cols);
            if (to.activation != Activation::kNone) activate_tile(to, 1, cols);
        }
    });
}

/**
 * The same with rows so short that pieces of them would be read slowly: each thread sums over some of the rows, which follow
 * one another in memory.
 */
void row_product_by_rows(const Product& p) {
    const int parts = 2 * heed::num_threads();  // fixed: the result does not depend on which thread comes first
    float* sums = static_cast<float*>(heed::allocate(sizeof(float) * parts * p.cols));
    parallel_for(parts, 1, [&](int begin, int end) {
        for (int part = begin; part < end; part++) {
            const int k = part_begin(p.depth, parts, part);
            float* c = sums + (size_t)part * p.cols;
            memset(c, 0, sizeof(float) * p.cols);
            add_all_rows<2>(p.a.at(0, k).data, p.a.col, p.b.at(k, 0), part_begin(p.depth, parts, part + 1) - k, c, p.cols);
        }
    });
    start_row(p.to, p.cols);
    HEED_FOR_VECTORS(j, n, p.cols, {
        Vec sum = load_n(p.to.c + j, n);
        for (int part = 0; part < parts; part++) sum = sum + load_n(sums + (size_t)part * p.cols + j, n);
        store_n(p.to.c + j, sum, n);
    });
    heed::release(sums);
    if (p.to.activation != Activation::kNone) activate_tile(p.to, 1, p.cols);
}

/** One row of A times a B whose rows are contiguous: reads B once, in its order. */
void row_product(const Product& p) {
    constexpr int kLongRow = 16384;  // floats for each thread
    const int threads = heed::num_threads();
    if (threads > 1 && p.work() > kParallelWork && p.cols / threads < kLongRow && p.depth >= 16 * threads) row_product_by_rows(p);
    else row_product_by_columns(p);
}

/** The rows and columns of C that one task fills, in panels of tiles. */
void multiply_panels(const Product& p, const float* packed_b, int first_panel, int last_panel, int row_panels, int begin, int end) {
    const auto row_of = [&](int panel) { return part_begin(p.rows, row_panels, panel); };
    const int first_row = row_of(first_panel);
    const bool is_packed_a = p.a.col != 1 || end - begin >= kMinPackPanels * kTileCols;
    // Rows of A so far apart fall into the same sets of the first-level cache, more than it holds: a copy lies closer.
    const bool is_copied_a = !is_packed_a && p.a.row % kSameSet == 0 && end - begin >= kMinCopyPanels * kTileCols;
    const size_t a_row = is_packed_a ? (size_t)p.depth : is_copied_a ? copied_row(p.depth) : p.a.row;
    float* own_a = nullptr;
    if (is_packed_a || is_copied_a) {
        own_a = static_cast<float*>(heed::allocate(sizeof(float) * (row_of(last_panel) - first_row) * a_row));
        for (int panel = first_panel; panel < last_panel; panel++) {
            const int row = row_of(panel), rows = row_of(panel + 1) - row;
            float* to = own_a + (row - first_row) * a_row;
            if (is_packed_a) pack_rows(p.a.at(row, 0), rows, p.depth, to);
            else copy_rows(p.a.at(row, 0), rows, p.depth, to);
        }
    }
    for (int j = begin; j < end; j += kTileCols) {
        const int cols = min_of(kTileCols, end - j);
        const float* b = packed_b ? packed_b + (size_t)j * p.depth : p.b.at(0, j).data;
        const size_t b_row = packed_b ? kTileCols : p.b.row;
        for (int panel = first_panel; panel < last_panel; panel++) {
            const int row = row_of(panel), rows = row_of(panel + 1) - row;
            const float* a = own_a ? own_a + (row - first_row) * a_row : p.a.at(row, 0).data;
            const TileProduct product = is_packed_a ? tile_product_for<true>(rows, cols) : tile_product_for<false>(rows, cols);
            product(p.depth, a, a_row, b, b_row, cols, p.to.at(row, j));
        }
    }
    heed::release(own_a);
}

/** A product whose depth is one pass and whose B fits `packed` (null: B is read where it lies). */
void multiply_block(const Product& p, float* packed) {
    const int col_panels = ceil_div(p.cols, kTileCols);
    const int row_panels = ceil_div(p.rows, kTileRows);
    const bool is_parallel = heed::num_threads() > 1 && p.work() > kParallelWork;
    if (packed) {
        parallel_for(col_panels, is_parallel ? 1 + 16384 / (p.depth * kTileCols) : col_panels, [&](int begin, int end) {
            const int j = begin * kTileCols;
            pack_columns(p.b.at(0, j), p.depth, min_of(end * kTileCols, p.cols) - j, packed + (size_t)j * p.depth);
        });
    }
    int row_tasks = ceil_div(row_panels, kPanelsPerTask), col_tasks = 1;
    if (is_parallel) {
        const int wanted = 4 * heed::num_threads();
        row_tasks = max_of(row_tasks, min_of(wanted, ceil_div(row_panels, 4)));
        if (row_tasks < wanted) col_tasks = min_of(col_panels, ceil_div(wanted, row_tasks));
    }
    parallel_for(row_tasks * col_tasks, is_parallel ? 1 : row_tasks * col_tasks, [&](int begin, int end) {
        for (int task = begin; task < end; task++) {
            const int row_task = task / col_tasks, col_task = task % col_tasks;
            multiply_panels(p, packed, part_begin(row_panels, row_tasks, row_task), part_begin(row_panels, row_tasks, row_task + 1),
                            row_panels, part_begin(col_panels, col_tasks, col_task) * kTileCols,
                            min_of(p.cols, part_begin(col_panels, col_tasks, col_task + 1) * kTileCols));
        }
    });
}

void blocked_product(const Product& p) {
    const int depth_blocks = ceil_div(p.depth, kMaxDepth);
    const int max_depth = ceil_div(p.depth, depth_blocks);
    const int col_panels = ceil_div(p.cols, kTileCols);
    const int col_blocks = ceil_div(col_panels, max_of(1, kMaxPacked / kTileCols / max_depth));
    // Packing pays when several panels of A read it, and is needed where a row of a tile is not contiguous.
    const bool is_packed = p.b.col != 1 || p.rows > 2 * kTileRows || p.cols % kTileCols != 0;
    float* packed = nullptr;
    if (is_packed) packed = static_cast<float*>(heed::allocate(sizeof(float) * max_depth * kTileCols * ceil_div(col_panels, col_blocks)));
    for (int block = 0; block < col_blocks; block++) {
        const int j = part_begin(col_panels, col_blocks, block) * kTileCols;
        const int cols = min_of(p.cols, part_begin(col_panels, col_blocks, block + 1) * kTileCols) - j;
        for (int pass = 0; pass < depth_blocks; pass++) {
            const int k = part_begin(p.depth, depth_blocks, pass);
            const int depth = part_begin(p.depth, depth_blocks, pass + 1) - k;
            Output to = p.to.at(0, j);
            to.accumulate = to.accumulate || pass > 0;
            if (pass > 0) to.bias = nullptr;
            if (pass < depth_blocks - 1) to.activation = Activation::kNone;
            multiply_block({p.rows, cols, depth, p.a.at(0, k), p.b.at(k, j), to}, packed);
        }
    }
    heed::release(packed);
}

#if HEED_TILES
// Steps of the sum per pass, whole chunks.
constexpr int kMaxTileDepth = 24 * kChunk;
// Rows or columns of the operand that all tasks share: 9 MB when packed, at that depth.
constexpr int kMaxShared = 64 * kBlock;
// Panels of the other operand that a task packs for itself: they and a shared panel stay in the second-level cache.
constexpr int kOwnPanels = 4;
// Packing is paid back by products of at least so many rows and columns, and so long sums.
constexpr int kMinTileSide = 16;
constexpr int kMinTileDepth = 32;

bool takes_tiles(const Product& p) {
    return p.rows >= kMinTileSide && p.cols >= kMinTileSide && p.depth >= kMinTileDepth && p.work() >= kParallelWork / 4 && has_tiles();
}

/** One pass. The operand with fewer rows or columns is packed into `shared` first, then each task packs its part of the other. */
void multiply_tiled(const Product& p, uint32_t* shared) {
    const bool is_parallel = heed::num_threads() > 1 && p.work() > kParallelWork;
    const bool shares_rows = p.rows <= p.cols;
    const int shared_count = shares_rows ? p.rows : p.cols, own_count = shares_rows ? p.cols : p.rows;
    const int shared_panels = ceil_div(shared_count, kBlock), own_panels = ceil_div(own_count, kBlock);
    const size_t panel_words = (size_t)ceil_div(p.depth, kChunk) * kChunkWords;
    const auto can_pack = [&](bool is_left, int begin, int end, uint32_t* to) {
        const int first = begin * kBlock, count = min_of(end * kBlock, is_left ? p.rows : p.cols) - first;
        TilePacker packer;
        if (is_left) packer.pack_rows(p.a.at(first, 0), count, p.depth, to, panel_words);
        else packer.pack_cols(p.b.at(0, first), count, p.depth, to, panel_words);
        return packer.can_split();
    };
    std::atomic<bool> can_split_shared{true};
    parallel_for(shared_panels, is_parallel ? 1 + (1 << 13) / (p.depth * kBlock) : shared_panels, [&](int begin, int end) {
        if (!can_pack(shares_rows, begin, end, shared + begin * panel_words)) can_split_shared.store(false, std::memory_order_relaxed);
    });
    const int wanted = is_parallel ? 4 * heed::num_threads() : 1;
    const int own_tasks = ceil_div(own_panels, min_of(kOwnPanels, max_of(1, own_panels / wanted)));
    const int shared_tasks = min_of(shared_panels, max_of(1, wanted / 2 / own_tasks));
    const int tasks = own_tasks * shared_tasks;
    parallel_for(tasks, is_parallel ? 1 : tasks, [&](int begin, int end) {
        auto* own = static_cast<uint32_t*>(heed::allocate(sizeof(uint32_t) * panel_words * kOwnPanels));
        const TileScope tiles;
        bool can_split = true;
        int packed_task = -1;
        for (int task = begin; task < end; task++) {
            const int own_task = task / shared_tasks, shared_task = task % shared_tasks;
            const int own_begin = part_begin(own_panels, own_tasks, own_task), own_end = part_begin(own_panels, own_tasks, own_task + 1);
            if (packed_task != own_task) {
                can_split = can_pack(!shares_rows, own_begin, own_end, own) && can_split_shared.load(std::memory_order_relaxed);
                packed_task = own_task;
            }
            const int shared_begin = part_begin(shared_panels, shared_tasks, shared_task);
            const int shared_end = part_begin(shared_panels, shared_tasks, shared_task + 1);
            if (!can_split) {
                const int row = (shares_rows ? shared_begin : own_begin) * kBlock, col = (shares_rows ? own_begin : shared_begin) * kBlock;
                const int end_row = min_of(p.rows, (shares_rows ? shared_end : own_end) * kBlock);
                const int end_col = min_of(p.cols, (shares_rows ? own_end : shared_end) * kBlock);
                blocked_product({end_row - row, end_col - col, p.depth, p.a.at(row, 0), p.b.at(0, col), p.to.at(row, col)});
                continue;
            }
            // While a shared panel meets the task's own ones the next one is fetched.
            const int lines_ahead = ceil_div(kChunkWords / kSide / kPartProducts, own_end - own_begin);
            const size_t words_ahead = (size_t)lines_ahead * kPartProducts * kSide * ceil_div(p.depth, kChunk);
            for (int i = shared_begin; i < shared_end; i++) {
                for (int j = own_begin; j < own_end; j++) {
                    const uint32_t *panel = shared + i * panel_words, *own_panel = own + (j - own_begin) * panel_words;
                    const int row = (shares_rows ? i : j) * kBlock, col = (shares_rows ? j : i) * kBlock;
                    tile_block(shares_rows ? panel : own_panel, shares_rows ? own_panel : panel, p.depth, min_of(kBlock, p.rows - row),
                               min_of(kBlock, p.cols - col), p.to.at(row, col), panel + panel_words + (j - own_begin) * words_ahead,
                               lines_ahead);
                }
            }
        }
        heed::release(own);
    });
}

void tiled_product(const Product& p) {
    const bool shares_rows = p.rows <= p.cols;
    const int shared_count = shares_rows ? p.rows : p.cols;
    const int max_depth = ceil_div(ceil_div(p.depth, ceil_div(p.depth, kMaxTileDepth)), kChunk) * kChunk;
    const int max_shared = ceil_div(ceil_div(shared_count, ceil_div(shared_count, kMaxShared)), kBlock) * kBlock;
    auto* shared = static_cast<uint32_t*>(heed::allocate(sizeof(uint32_t) * (max_shared / kBlock) * (max_depth / kChunk) * kChunkWords));
    for (int first = 0; first < shared_count; first += max_shared) {
        const int count = min_of(max_shared, shared_count - first);
        const int row = shares_rows ? first : 0, col = shares_rows ? 0 : first;
        for (int k = 0; k < p.depth; k += max_depth) {
            Output to = p.to.at(row, col);
            to.accumulate = to.accumulate || k > 0;
            if (k > 0) to.bias = nullptr;
            if (k + max_depth < p.depth) to.activation = Activation::kNone;
            multiply_tiled({shares_rows ? count : p.rows, shares_rows ? p.cols : count, min_of(max_depth, p.depth - k), p.a.at(row, k),
                            p.b.at(k, col), to},
                           shared);
        }
    }
    heed::release(shared);
}
#endif

/** The sums over no element: 0, C or the bias. */
void empty_product(const Product& p) {
    for (int i = 0; i < p.rows; i++) {
        for (int j = 0; j < p.cols; j++) {
            float* c = p.to.c + i * p.to.stride + j;
            *c = (p.to.accumulate ? *c : 0.0f) + (p.to.bias ? p.to.bias[j] : 0.0f);
        }
    }
    if (p.to.activation != Activation::kNone) activate_tile(p.to, p.rows, p.cols);
}

void multiply(const Product& p) {
    if (p.rows == 0 || p.cols == 0) return;
    if (p.depth == 0) return empty_product(p);
    const bool is_dot = p.b.row == 1 && p.a.col == 1;
    if (is_dot && (p.rows <= kDotRows || (p.rows <= kMaxDotRows && p.depth >= kMinDotDepth))) return dot_product(p);
    if (p.rows == 1 && p.b.col == 1) return row_product(p);
    // A product with one column is the transposed product with one row.
    if (p.cols == 1 && p.a.col == 1 && p.b.row == 1 && !p.to.bias) {
        return dot_product({1, p.rows, p.depth, {p.b.data, (size_t)p.depth, 1}, {p.a.data, 1, p.a.row}, p.to});
    }
#if HEED_TILES
    if (takes_tiles(p)) return tiled_product(p);
#endif
    blocked_product(p);
}

}  // namespace

/**
 * A [rows, depth] or, transposed, [depth, rows]; B likewise; C and before [rows, cols], bias [cols], before and bias null
 * for none. A batch of products lies a_step and b_step floats apart (0 to use the same matrix), in C one after another.
 */
void HEED_KERNEL(matmul)(const float* a, const float* b, const float* bias, float* c, float* before, int rows, int cols, int depth,
                         int is_a_transposed, int is_b_transposed, int is_accumulated, int activation, int batch, size_t a_step,
                         size_t b_step) {
    const auto one = [&](int i) {
        const Matrix left{a + i * a_step, is_a_transposed ? 1 : (size_t)depth, is_a_transposed ? (size_t)rows : 1};
        const Matrix right{b + i * b_step, is_b_transposed ? 1 : (size_t)cols, is_b_transposed ? (size_t)depth : 1};
        const size_t at = (size_t)i * rows * cols;
        multiply({rows, cols, depth, left, right,
                  {c + at, before ? before + at : nullptr, bias, (size_t)cols, is_accumulated != 0, (Activation)activation}});
    };
    // Many products: each on one thread. Few: each over all threads.
    if (batch >= 2 * heed::num_threads()) {
        parallel_for(batch, 1 + (int)(kParallelWork / ((double)rows * cols * depth + 1)), [&](int begin, int end) {
            for (int i = begin; i < end; i++) one(i);
        });
    } else {
        for (int i = 0; i < batch; i++) one(i);
    }
}
