// The matrix product C = activation(op(A) · op(B) (+ C) (+ bias)) for any sizes, blocked for the caches and split over
// threads; matrix-vector products and other short left sides go row by row of B, at the speed of memory.
#include <unistd.h>

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
// Panels of A that meet a panel of B before the next does: they stay in the second-level cache.
constexpr int kPanelsInCache = 96 / kTileRows;
// Floats of B that a task packs at a time: with the panels of A they fit the second-level cache.
constexpr int kMaxStrip = 96 * 1024;
// Panels of A that pay for packing a panel of B.
constexpr int kMinPanelsPerTask = 8;
// Floats apart that two addresses fall into the same set of the first-level cache, or one of two.
constexpr int kSameSet = 512;
// Panels of B that pay for a copy of A.
constexpr int kMinCopyPanels = 8;
// Floats copied at a time for all tasks, 4 MB: a share of the third-level cache.
constexpr int kMaxSharedFloats = 1 << 20;
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

// A product with one row reads B once, in pieces side by side that each follow the order of memory: more of it is under way
// at a time than of one piece, and the processor fetches ahead in each, which it does not where the next address jumps.
constexpr int kStreams = 4;
// The same for rows of B; where nothing can be asked for ahead of its use, more pieces make up for it.
#if defined(__wasm__)
constexpr int kRowStreams = 6;
#else
constexpr int kRowStreams = 4;
#endif
constexpr int kAhead = 256;  // floats from what is read to what is asked for: memory takes that long to answer
// Columns of C that stay in the second-level cache while rows of B are added to them, as many as can: pieces of rows are short.
constexpr int kMaxRowPiece = 65536;
// Columns of B so long are read as streams; for shorter ones it matters more that eight are summed at once.
constexpr int kMinStreamDepth = 128;
// So many rows of B for each thread pay for sums of its own over whole rows, which are then added up.
constexpr int kMinRowsPerThread = 64;

struct Product {
    int rows, cols, depth;
    Matrix a, b;
    Output to;
    size_t panel = 0;  // where B lies in panels (pack_columns): floats from one to the next; b is the first then

    double work() const { return (double)rows * cols * depth; }

    /** B from step k and column j on. Where it lies in panels, j is the first of one, of which alone is spoken. */
    Matrix b_at(int k, int j) const {
        if (panel == 0) return b.at(k, j);
        return {b.data + (size_t)(j / kTileCols) * panel + (size_t)k * kTileCols, kTileCols, 1};
    }
};

int ceil_div(int a, int b) { return (a + b - 1) / b; }
int min_of(int a, int b) { return a < b ? a : b; }
constexpr int max_of(int a, int b) { return a > b ? a : b; }
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

/**
 * One row of A times columns of B that are contiguous: kStreams columns at a time, so far apart that each stream goes on
 * with the next one.
 */
void dot_streams(const Product& p, int begin, int end) {
    constexpr int kSums = 2;  // for each column: an addition would otherwise wait for the one before
    constexpr int kVectors = max_of(kSums, kLine / Vec::kLanes), kStep = kVectors * Vec::kLanes;
    const float* a = p.a.data;
    const int cols = (end - begin) / kStreams;
    const size_t stream = cols * p.b.col;
    for (int j = begin; j < begin + cols; j++) {
        const float* b = p.b.at(0, j).data;
        Vec sums[kStreams][kSums];
#pragma GCC unroll 4
        for (int s = 0; s < kStreams; s++) {
#pragma GCC unroll 2
            for (int i = 0; i < kSums; i++) sums[s][i] = all(0);
        }
        int k = 0;
        for (; k + kStep <= p.depth; k += kStep) {
#pragma GCC unroll 4
            for (int s = 0; s < kStreams; s++) {
                const float* from = b + s * stream + k;
#pragma GCC unroll 2
                for (int i = 0; i < kStep; i += kLine) __builtin_prefetch(from + i + kAhead);
#pragma GCC unroll 4
                for (int i = 0; i < kVectors; i++) {
                    const int at = i * Vec::kLanes;
                    sums[s][i % kSums] = fma(load(a + k + at), load(from + at), sums[s][i % kSums]);
                }
            }
        }
        const auto last = [&](int at, int n) __attribute__((always_inline)) {
            const Vec x = load_n(a + at, n);
#pragma GCC unroll 4
            for (int s = 0; s < kStreams; s++) sums[s][0] = fma(x, load_n(b + s * stream + at, n), sums[s][0]);
        };
        HEED_FOR_VECTORS(i, n, p.depth - k, { last(k + i, n); });
#pragma GCC unroll 4
        for (int s = 0; s < kStreams; s++) {
            const Output to = p.to.at(0, j + s * cols);
            *to.c = sum(sums[s][0] + sums[s][1]) + (to.accumulate ? *to.c : 0.0f) + (to.bias ? *to.bias : 0.0f);
        }
    }
    dot_rows<1>(p, 0, begin + kStreams * cols, end);
}

/** Rows of A times columns [begin, end) of B, which are contiguous. */
void dot_strips(const Product& p, int begin, int end) {
    // Strips of B that stay in the second-level cache while all rows of A pass over them.
    const int strip = max_of(8, kMaxSharedFloats / 8 / (p.depth + 1));
    for (int from = begin; from < end; from += strip) {
        const int upto = min_of(end, from + strip);
        int i = 0;
        for (; i + kDotRows <= p.rows; i += kDotRows) dot_rows<kDotRows>(p, i, from, upto);
        for (; i < p.rows; i++) dot_rows<1>(p, i, from, upto);
    }
}

void dot_product(const Product& p) {
    parallel_for(p.cols, 1 + (int)(kParallelWork / 4 / ((double)p.rows * p.depth + 1)), [&](int begin, int end) {
        if (p.rows == 1 && p.depth >= kMinStreamDepth) dot_streams(p, begin, end);
        else dot_strips(p, begin, end);
        if (p.to.activation != Activation::kNone) activate_tile(p.to.at(0, begin), p.rows, end - begin);
    });
}

/** A vector from anywhere: of two that are half as long only one can cross from a cache line to the next. */
HEED_INLINE Vec load_halves(const float* p, int n) {
#if defined(HEED_AVX512)
    if (n == Vec::kLanes) return {_mm512_insertf32x8(_mm512_castps256_ps512(_mm256_loadu_ps(p)), _mm256_loadu_ps(p + 8), 1)};
#endif
    return load_n(p, n);
}

/** c[cols] += Σ x[p] · B[p, cols] over kSteps rows of B. */
template <int kSteps>
void add_rows(const float* x, size_t x_stride, Matrix b, float* c, int cols) {
    Vec factors[kSteps];
    for (int s = 0; s < kSteps; s++) factors[s] = all(x[s * x_stride]);
    const auto step = [&](int j, int n) __attribute__((always_inline)) {
        Vec y = load_n(c + j, n);
#pragma GCC unroll 8
        for (int s = 0; s < kSteps; s++) y = fma(factors[s], load_halves(b.data + s * b.row + j, n), y);
        store_n(c + j, y, n);
    };
    int j = 0;
    for (; j + kLine <= cols; j += kLine) {
#pragma GCC unroll 8
        for (int s = 0; s < kSteps; s++) __builtin_prefetch(b.data + s * b.row + j + kAhead);
#pragma GCC unroll 4
        for (int i = 0; i < kLine; i += Vec::kLanes) step(j + i, Vec::kLanes);
    }
    HEED_FOR_VECTORS(i, n, cols - j, { step(j + i, n); });
}

/** c[cols] += x · B: kRowStreams rows at a time, so far apart that each stream goes on with the row below. */
void add_all_rows(const float* x, size_t x_stride, Matrix b, int depth, float* c, int cols) {
    const int strips = ceil_div(cols, kMaxRowPiece), rows = depth / kRowStreams;
    for (int strip = 0; strip < strips; strip++) {
        const int j = part_begin(cols, strips, strip), width = part_begin(cols, strips, strip + 1) - j;
        for (int k = 0; k < rows; k++) {
            add_rows<kRowStreams>(x + k * x_stride, rows * x_stride, {b.at(k, j).data, rows * b.row, 1}, c + j, width);
        }
        for (int k = kRowStreams * rows; k < depth; k++) add_rows<1>(x + k * x_stride, x_stride, b.at(k, j), c + j, width);
    }
}

/** What the sums are added to: C, the bias, both or nothing. */
void start_row(const Output& to, int cols) {
    HEED_FOR_VECTORS(j, n, cols, {
        Vec start = to.accumulate ? load_n(to.c + j, n) : all(0);
        if (to.bias) start = start + load_n(to.bias + j, n);
        store_n(to.c + j, start, n);
    });
}

/** One row of A times B: each thread sums some of the columns. */
void row_product_by_columns(const Product& p) {
    // Memory is read fastest in long pieces: two for each thread.
    const int piece = max_of(64 + (int)(kParallelWork / 4 / p.depth), p.cols / (2 * heed::num_threads()));
    parallel_for(p.cols, piece, [&](int begin, int end) {
        const Output to = p.to.at(0, begin);
        start_row(to, end - begin);
        add_all_rows(p.a.data, p.a.col, p.b.at(0, begin), p.depth, to.c, end - begin);
        if (to.activation != Activation::kNone) activate_tile(to, 1, end - begin);
    });
}

/** The same, reading longer pieces: each thread sums over some of the rows, which follow one another in memory. */
void row_product_by_rows(const Product& p) {
    const int parts = 2 * heed::num_threads();  // fixed: the result does not depend on which thread comes first
    const size_t stride = (size_t)ceil_div(p.cols, kLine) * kLine;
    float* sums = static_cast<float*>(heed::allocate(sizeof(float) * parts * stride));
    parallel_for(parts, 1, [&](int begin, int end) {
        for (int part = begin; part < end; part++) {
            const int k = part_begin(p.depth, parts, part);
            float* c = sums + part * stride;
            memset(c, 0, sizeof(float) * p.cols);
            add_all_rows(p.a.at(0, k).data, p.a.col, p.b.at(k, 0), part_begin(p.depth, parts, part + 1) - k, c, p.cols);
        }
    });
    parallel_for(p.cols, (int)(kParallelWork / 4) / parts, [&](int begin, int end) {
        const Output to = p.to.at(0, begin);
        start_row(to, end - begin);
        HEED_FOR_VECTORS(j, n, end - begin, {
            Vec sum = load_n(to.c + j, n);
            for (int part = 0; part < parts; part++) sum = sum + load_n(sums + part * stride + begin + j, n);
            store_n(to.c + j, sum, n);
        });
        if (to.activation != Activation::kNone) activate_tile(to, 1, end - begin);
    });
    heed::release(sums);
}

/** One row of A times a B whose rows are contiguous. */
void row_product(const Product& p) {
    const int threads = heed::num_threads();
    if (threads > 1 && p.work() >= kParallelWork / 2 && p.depth >= kMinRowsPerThread * threads) row_product_by_rows(p);
    else row_product_by_columns(p);
}

/** One row of A times kCount panels of B, `apart` from each other. */
template <int kCount>
void panel_sums(const Product& p, int panel, int apart) {
    Vec sums[kCount][kTileVectors];
#pragma GCC unroll 4
    for (int s = 0; s < kCount; s++) {
#pragma GCC unroll 4
        for (int v = 0; v < kTileVectors; v++) sums[s][v] = all(0);
    }
    const float* b = p.b_at(0, panel * kTileCols).data;
    for (int k = 0; k < p.depth; k++, b += kTileCols) {
        const Vec x = all(p.a.data[k * p.a.col]);
#pragma GCC unroll 4
        for (int s = 0; s < kCount; s++) {
            const float* from = b + s * apart * p.panel;
#pragma GCC unroll 2
            for (int i = 0; i < kTileCols; i += kLine) __builtin_prefetch(from + i + kAhead);
#pragma GCC unroll 4
            for (int v = 0; v < kTileVectors; v++) sums[s][v] = fma(x, load(from + v * Vec::kLanes), sums[s][v]);
        }
    }
    for (int s = 0; s < kCount; s++) {
        const int col = (panel + s * apart) * kTileCols, cols = min_of(kTileCols, p.cols - col);
        const Output to = p.to.at(0, col);
        start_row(to, cols);
#pragma GCC unroll 4
        for (int v = 0; v < kTileVectors; v++) {
            const int n = min_of(Vec::kLanes, cols - v * Vec::kLanes);
            if (n > 0) store_n(to.c + v * Vec::kLanes, load_n(to.c + v * Vec::kLanes, n) + sums[s][v], n);
        }
        if (to.activation != Activation::kNone) activate_tile(to, 1, cols);
    }
}

/** One row of A times a B that lies in panels: kStreams at a time, so far apart that each stream goes on with the next panel. */
void panel_row_product(const Product& p) {
    const int panels = ceil_div(p.cols, kTileCols), groups = ceil_div(panels, kStreams);
    // Memory is read fastest in long pieces: two for each thread.
    const int piece = 1 + (int)(kParallelWork / 4 / ((double)p.depth * kTileCols * kStreams + 1));
    parallel_for(groups, max_of(piece, groups / (2 * heed::num_threads())), [&](int begin, int end) {
        const int first = begin * kStreams, last = min_of(end * kStreams, panels), apart = (last - first) / kStreams;
        for (int i = 0; i < apart; i++) panel_sums<kStreams>(p, first + i, apart);
        for (int i = first + kStreams * apart; i < last; i++) panel_sums<1>(p, i, 0);
    });
}

/** Rows of A as tiles read them. */
struct Left {
    const float* data;
    int first_row;  // what lies at data
    size_t row;     // floats for each row
    bool is_packed;

    const float* at(int i) const { return data + (i - first_row) * row; }
};

/** Read where it lies, copied row by row, or copied so that the rows of a tile alternate (pack_rows). */
enum class LeftForm { kInPlace, kCopied, kPacked };

/** Lines that a set of the first-level cache holds; 0 where it cannot be told. */
int lines_of_set() {
#if defined(_SC_LEVEL1_DCACHE_ASSOC)
    static const int count = (int)sysconf(_SC_LEVEL1_DCACHE_ASSOC);
    return count;
#else
    return 0;
#endif
}

LeftForm left_form(const Product& p) {
    if (p.a.col != 1) return LeftForm::kPacked;
    // Rows so far apart fall into the same sets of the first-level cache. Where these do not hold a tile's, a copy lies closer.
    const bool is_crowded = p.a.row % kSameSet == 0 && lines_of_set() < kTileRows && p.rows > kTileRows &&
                            p.cols >= kMinCopyPanels * kTileCols;
    return is_crowded ? LeftForm::kCopied : LeftForm::kInPlace;
}

/** Rows of A in the panels of tiles, as even as can be: where panel i begins. */
int panel_row(const Product& p, int i) { return part_begin(p.rows, ceil_div(p.rows, kTileRows), i); }

/** Row panels [first, last) of a strip of C over one pass; the strip's columns of B lie in `packed` (null: where they are). */
void multiply_strip(const Product& p, const Left& left, const float* packed, int first, int last, int begin, int end) {
    for (int from = first; from < last; from += kPanelsInCache) {
        for (int j = begin; j < end; j += kTileCols) {
            const int cols = min_of(kTileCols, end - j);
            const float* b = packed ? packed + (size_t)(j - begin) * p.depth : p.b_at(0, j).data;
            const size_t b_row = packed ? kTileCols : p.b.row;
            // While a panel of B meets those of A the next one is fetched, where it is not packed first.
            const float* next = p.panel > 0 && j + kTileCols < end ? b + p.panel : b;
            const int lines = ceil_div(p.depth, kFetchSteps), all_lines = ceil_div(p.depth * kTileCols, kLine);
            for (int panel = from; panel < min_of(last, from + kPanelsInCache); panel++) {
                const int row = panel_row(p, panel), rows = panel_row(p, panel + 1) - row;
                const TileProduct product = left.is_packed ? tile_product_for<true>(rows, cols) : tile_product_for<false>(rows, cols);
                const size_t ahead = (size_t)(panel - from) * lines % all_lines * kLine;
                product(p.depth, left.at(row), left.row, b, b_row, cols, p.to.at(row, j), next + ahead);
            }
        }
    }
}

/** Copies or packs row panels [first, last) of A for one pass, `row` floats for each row. */
void prepare_left(const Product& p, LeftForm form, int first, int last, size_t row, float* to) {
    for (int panel = first; panel < last; panel++) {
        const int begin = panel_row(p, panel), rows = panel_row(p, panel + 1) - begin;
        float* panel_to = to + (begin - panel_row(p, first)) * row;
        if (form == LeftForm::kPacked) pack_rows(p.a.at(begin, 0), rows, p.depth, panel_to);
        else copy_rows(p.a.at(begin, 0), rows, p.depth, panel_to);
    }
}

bool is_parallel(const Product& p) { return heed::num_threads() > 1 && p.work() > kParallelWork; }

/** The floats of a row of A as `form` has it. */
size_t left_row(LeftForm form, int depth) { return form == LeftForm::kCopied ? copied_row(depth) : (size_t)depth; }

/** One pass. A is prepared for all tasks; each packs the columns of B that it needs into the cache of its own core. */
void multiply_by_strips(const Product& p, LeftForm form, float* own_a) {
    const int col_panels = ceil_div(p.cols, kTileCols), row_panels = ceil_div(p.rows, kTileRows);
    Left left{p.a.data, 0, p.a.row, false};
    if (form != LeftForm::kInPlace) {
        left = {own_a, 0, left_row(form, p.depth), form == LeftForm::kPacked};
        parallel_for(row_panels, is_parallel(p) ? 1 + 16384 / (p.depth * kTileRows) : row_panels, [&](int first, int last) {
            prepare_left(p, form, first, last, left.row, own_a + panel_row(p, first) * left.row);
        });
    }
    const int wanted = is_parallel(p) ? 4 * heed::num_threads() : 1;
    const int strip = max_of(1, min_of(col_panels / wanted, kMaxStrip / (p.depth * kTileCols)));
    const int col_tasks = ceil_div(col_panels, strip);
    const int row_tasks = max_of(1, min_of(ceil_div(wanted, col_tasks), row_panels / kMinPanelsPerTask));
    // Packing pays when several panels of A read it, and is needed where a row of a tile is not contiguous.
    const bool is_packed = p.panel == 0 && (p.b.col != 1 || p.rows > 2 * kTileRows || p.cols % kTileCols != 0);
    const int tasks = col_tasks * row_tasks;
    parallel_for(tasks, wanted > 1 ? 1 : tasks, [&](int first, int last) {
        float* packed = is_packed ? static_cast<float*>(heed::allocate(sizeof(float) * p.depth * strip * kTileCols)) : nullptr;
        for (int task = first; task < last; task++) {
            const int col_task = task / row_tasks, row_task = task % row_tasks;
            const int begin = part_begin(col_panels, col_tasks, col_task) * kTileCols;
            const int end = min_of(p.cols, part_begin(col_panels, col_tasks, col_task + 1) * kTileCols);
            if (packed && (task == first || row_task == 0)) pack_columns(p.b.at(0, begin), p.depth, end - begin, packed);
            multiply_strip(p, left, packed, part_begin(row_panels, row_tasks, row_task), part_begin(row_panels, row_tasks, row_task + 1),
                           begin, end);
        }
        heed::release(packed);
    });
}

/** One pass the other way round: B is packed for all tasks, unless it is already; each prepares the rows of A that it needs. */
void multiply_by_rows(const Product& p, LeftForm form, float* packed) {
    const int col_panels = ceil_div(p.cols, kTileCols), row_panels = ceil_div(p.rows, kTileRows);
    if (p.panel == 0) {
        parallel_for(col_panels, is_parallel(p) ? 1 + 16384 / (p.depth * kTileCols) : col_panels, [&](int first, int last) {
            const int begin = first * kTileCols;
            pack_columns(p.b.at(0, begin), p.depth, min_of(last * kTileCols, p.cols) - begin, packed + (size_t)begin * p.depth);
        });
    }
    const int wanted = is_parallel(p) ? 4 * heed::num_threads() : 1;
    const int row_tasks = max_of(ceil_div(row_panels, kPanelsInCache), min_of(wanted, ceil_div(row_panels, 4)));
    const int col_tasks = min_of(col_panels, ceil_div(wanted, row_tasks));
    const int tasks = row_tasks * col_tasks;
    const size_t row = left_row(form, p.depth);
    parallel_for(tasks, wanted > 1 ? 1 : tasks, [&](int begin_task, int end_task) {
        float* own_a = static_cast<float*>(heed::allocate(sizeof(float) * (ceil_div(row_panels, row_tasks) + 1) * kTileRows * row));
        for (int task = begin_task; task < end_task; task++) {
            const int row_task = task / col_tasks, col_task = task % col_tasks;
            const int first = part_begin(row_panels, row_tasks, row_task), last = part_begin(row_panels, row_tasks, row_task + 1);
            if (task == begin_task || col_task == 0) prepare_left(p, form, first, last, row, own_a);
            const int begin = part_begin(col_panels, col_tasks, col_task) * kTileCols;
            const int end = min_of(p.cols, part_begin(col_panels, col_tasks, col_task + 1) * kTileCols);
            multiply_strip(p, {own_a, panel_row(p, first), row, form == LeftForm::kPacked},
                           p.panel == 0 ? packed + (size_t)begin * p.depth : nullptr, first, last, begin, end);
        }
        heed::release(own_a);
    });
}

/** Calls `pass` for part of the sum after part, at most max_rows x max_cols of C at a time; max_cols is whole panels. */
template <class Pass>
void for_passes(const Product& p, int max_rows, int max_cols, const Pass& pass) {
    const int depth_blocks = ceil_div(p.depth, kMaxDepth);
    const int row_blocks = ceil_div(p.rows, max_rows), col_blocks = ceil_div(p.cols, max_cols);
    for (int block = 0; block < row_blocks * col_blocks; block++) {
        const int row = part_begin(p.rows, row_blocks, block / col_blocks), rows = part_begin(p.rows, row_blocks, block / col_blocks + 1) - row;
        const int col = block % col_blocks * max_cols, cols = min_of(max_cols, p.cols - col);
        for (int i = 0; i < depth_blocks; i++) {
            const int k = part_begin(p.depth, depth_blocks, i), depth = part_begin(p.depth, depth_blocks, i + 1) - k;
            Output to = p.to.at(row, col);
            to.accumulate = to.accumulate || i > 0;
            if (i > 0) to.bias = nullptr;
            if (i < depth_blocks - 1) to.activation = Activation::kNone;
            pass(Product{rows, cols, depth, p.a.at(row, k), p.b_at(k, col), to, p.panel});
        }
    }
}

void blocked_product(const Product& p) {
    const LeftForm form = left_form(p);
    if (form == LeftForm::kInPlace) {
        return for_passes(p, p.rows, p.cols, [&](const Product& part) { multiply_by_strips(part, form, nullptr); });
    }
    // What all tasks share is copied first, so it is the smaller of the two.
    const int max_depth = ceil_div(p.depth, ceil_div(p.depth, kMaxDepth));
    const bool shares_left = p.rows <= 2 * p.cols;
    const size_t row = left_row(form, max_depth);
    const int max_rows = shares_left ? min_of(p.rows, max_of(kTileRows, (int)(kMaxSharedFloats / row))) : p.rows;
    const int col_panels = ceil_div(p.cols, kTileCols);
    const int max_panels = shares_left ? col_panels : min_of(col_panels, max_of(1, kMaxSharedFloats / (max_depth * kTileCols)));
    const size_t floats = shares_left ? max_rows * row : (size_t)max_depth * max_panels * kTileCols;
    float* shared = static_cast<float*>(heed::allocate(sizeof(float) * floats));
    for_passes(p, max_rows, max_panels * kTileCols, [&](const Product& part) {
        if (shares_left) multiply_by_strips(part, form, shared);
        else multiply_by_rows(part, form, shared);
    });
    heed::release(shared);
}

#if HEED_TILES
// Steps of the sum per pass, whole chunks.
constexpr int kMaxTileDepth = 24 * kChunk;
// Rows or columns of the operand that all tasks share: 9 MB when packed, at that depth.
constexpr int kMaxShared = 64 * kBlock;
// Panels of the other operand that a task packs for itself: they and a shared panel stay in the second-level cache.
constexpr int kOwnPanels = 4;
static_assert(kBlock == kTileCols, "a block's columns are those of a panel");
// Packing is paid back by products of at least so many rows and columns, and so long sums.
constexpr int kMinTileSide = 16;
constexpr int kMinTileDepth = 32;

bool takes_tiles(const Product& p) {
    return p.rows >= kMinTileSide && p.cols >= kMinTileSide && p.depth >= kMinTileDepth && p.work() >= kParallelWork / 4 && has_tiles();
}

/** One pass. The operand with fewer rows or columns is packed into `shared` first, then each task packs its part of the other. */
void multiply_tiled(const Product& p, uint32_t* shared) {
    const bool shares_rows = p.rows <= p.cols;
    const int shared_count = shares_rows ? p.rows : p.cols, own_count = shares_rows ? p.cols : p.rows;
    const int shared_panels = ceil_div(shared_count, kBlock), own_panels = ceil_div(own_count, kBlock);
    const size_t panel_words = (size_t)ceil_div(p.depth, kChunk) * kChunkWords;
    const auto can_pack = [&](bool is_left, int begin, int end, uint32_t* to) {
        const int first = begin * kBlock, count = min_of(end * kBlock, is_left ? p.rows : p.cols) - first;
        TilePacker packer;
        if (is_left) {
            packer.pack_rows(p.a.at(first, 0), count, p.depth, to, panel_words);
        } else {
            const int together = p.panel == 0 ? count : kBlock;
            for (int j = 0; j < count; j += together, to += panel_words)
                packer.pack_cols(p.b_at(0, first + j), min_of(together, count - j), p.depth, to, panel_words);
        }
        return packer.can_split();
    };
    std::atomic<bool> can_split_shared{true};
    parallel_for(shared_panels, is_parallel(p) ? 1 + (1 << 13) / (p.depth * kBlock) : shared_panels, [&](int begin, int end) {
        if (!can_pack(shares_rows, begin, end, shared + begin * panel_words)) can_split_shared.store(false, std::memory_order_relaxed);
    });
    const int wanted = is_parallel(p) ? 4 * heed::num_threads() : 1;
    const int own_tasks = ceil_div(own_panels, min_of(kOwnPanels, max_of(1, own_panels / wanted)));
    const int shared_tasks = min_of(shared_panels, max_of(1, wanted / 2 / own_tasks));
    const int tasks = own_tasks * shared_tasks;
    parallel_for(tasks, is_parallel(p) ? 1 : tasks, [&](int begin, int end) {
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
                blocked_product(
                    {end_row - row, end_col - col, p.depth, p.a.at(row, 0), p.b_at(0, col), p.to.at(row, col), p.panel});
                continue;
            }
            const int chunks = ceil_div(p.depth, kChunk), products = kPartProducts * chunks, own_count = own_end - own_begin;
            // While a shared panel meets the task's own ones the next one is fetched; and those of B that the next task packs.
            const int lines = ceil_div((int)(panel_words / kLine), products * own_count);
            Ahead own_ahead{nullptr, 0};
            if (p.panel > 0 && shares_rows && (task + 1) / shared_tasks > own_task && own_end < own_panels) {
                const int wanted_lines = own_count * (p.depth * kTileCols / kLine);
                own_ahead = {p.b_at(0, own_end * kBlock).data, ceil_div(wanted_lines, products * own_count * (shared_end - shared_begin))};
            }
            for (int i = shared_begin; i < shared_end; i++) {
                const uint32_t* panel = shared + i * panel_words;
                Ahead shared_ahead{reinterpret_cast<const float*>(panel + panel_words), lines};
                for (int j = own_begin; j < own_end; j++) {
                    const uint32_t* own_panel = own + (j - own_begin) * panel_words;
                    const int row = (shares_rows ? i : j) * kBlock, col = (shares_rows ? j : i) * kBlock;
                    tile_block(shares_rows ? panel : own_panel, shares_rows ? own_panel : panel, p.depth, min_of(kBlock, p.rows - row),
                               min_of(kBlock, p.cols - col), p.to.at(row, col), shared_ahead, own_ahead);
                    shared_ahead = shared_ahead.after(chunks);
                    own_ahead = own_ahead.after(chunks);
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
                            p.b_at(k, col), to, p.panel},
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

/** A product with so few rows or columns that it is not worth packing; false if there are more. */
bool multiply_few(const Product& p) {
    const bool is_dot = p.b.row == 1 && p.a.col == 1;
    if (p.panel > 0) {
        if (p.rows > 1) return false;
        panel_row_product(p);
    } else if (is_dot && (p.rows <= kDotRows || (p.rows <= kMaxDotRows && p.depth >= kMinDotDepth))) {
        dot_product(p);
    } else if (p.rows == 1 && p.b.col == 1) {
        row_product(p);
    } else if (p.cols == 1 && p.a.col == 1 && p.b.row == 1 && !p.to.bias) {
        // The transposed product with one row.
        dot_product({1, p.rows, p.depth, {p.b.data, (size_t)p.depth, 1}, {p.a.data, 1, p.a.row}, p.to});
    } else {
        return false;
    }
    return true;
}

void multiply(const Product& p) {
    if (p.rows == 0 || p.cols == 0) return;
    if (p.depth == 0) return empty_product(p);
    if (multiply_few(p)) return;
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

/** activation(x [rows, depth] · panels (+ bias [cols])) -> y [rows, cols], by what pack_panels makes of a weight. */
void HEED_KERNEL(panel_product)(const float* x, const float* panels, const float* bias, float* y, int rows, int cols, int depth,
                                int activation) {
    multiply({rows, cols, depth, {x, (size_t)depth, 1}, {panels, kTileCols, 1},
              {y, nullptr, bias, (size_t)cols, false, (Activation)activation}, (size_t)depth * kTileCols});
}
