// Products by the tile units of recent x86 processors (AMX), which multiply numbers of 8 significant bits. A float has 24:
// it is the sum of three such numbers, and a product of two floats that of six of their nine products, since the other
// three lie below the last bit. Sums are formed in float32, so the result is as exact as one of multiply-adds, in about a
// third of the time. Henry, Tang & Heinecke 2019, "Leveraging the bfloat16 artificial intelligence datatype for
// higher-precision computations", section IV.
#pragma once

#include "gemm.h"

#if defined(HEED_AVX512) && defined(__linux__)
#define HEED_TILES 1

#include <cpuid.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define HEED_WITH_TILES __attribute__((target("amx-tile,amx-bf16")))

namespace {

// A block of C is kBlock x kBlock, in four tiles. Of A and B a chunk of kChunk steps of the sum lies as three pairs of
// tiles: the high, middle and low parts of 2 x kSide rows or columns. Word p of a row of a tile holds steps p and
// p + kSide, which needs no shuffling of lanes.
constexpr int kSide = 16;
constexpr int kBlock = 2 * kSide;
constexpr int kChunk = 2 * kSide;
constexpr int kTileWords = kSide * kSide;
constexpr int kPart = 2 * kTileWords;
constexpr int kChunkWords = 3 * kPart;
constexpr int kPartProducts = 6;

/** Whether this processor has the tiles and the system lets this process use them; not where a smaller instruction set is asked for. */
inline bool has_tiles() {
    static const bool result = [] {
        if (getenv("HEED_INSTRUCTION_SET")) return false;
        unsigned a, b, c, d, low, high;
        if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return false;
        constexpr unsigned kBf16 = 1u << 22, kTile = 1u << 24;
        if ((d & (kBf16 | kTile)) != (kBf16 | kTile)) return false;
        __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
        constexpr unsigned kTileState = 3u << 17;
        if ((low & kTileState) != kTileState) return false;
        constexpr long kRequestPermission = 0x1023, kTileData = 18;  // arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA)
        return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
    }();
    return result;
}

/** Makes this thread's tiles kSide rows of 64 bytes while in scope; the state costs every switch of threads while it is set. */
class TileScope {
public:
    HEED_WITH_TILES TileScope() {
        // Static: the compiler's intrinsic does not say how much of it is read.
        static constexpr struct __attribute__((packed)) {
            uint8_t palette, start, reserved[14];
            uint16_t row_bytes[16];
            uint8_t rows[16];
        } shape = {1, 0, {}, {64, 64, 64, 64, 64, 64, 64, 64}, {16, 16, 16, 16, 16, 16, 16, 16}};
        static_assert(kSide == 16, "the shape of eight tiles");
        _tile_loadconfig(&shape);
    }
    HEED_WITH_TILES ~TileScope() { _tile_release(); }
};

/** The three parts of 16 floats, each a float whose lower half is 0. */
struct Parts {
    __m512i part[3];
};

/** Rounds to 8 significant bits, then the rest, then what is left, which has no more than 8. */
HEED_INLINE Parts split(__m512 x) {
    const __m512i half = _mm512_set1_epi32(0x8000), upper = _mm512_set1_epi32((int)0xffff0000);
    const __m512i high = _mm512_and_si512(_mm512_add_epi32(_mm512_castps_si512(x), half), upper);
    const __m512 rest = _mm512_sub_ps(x, _mm512_castsi512_ps(high));
    const __m512i middle = _mm512_and_si512(_mm512_add_epi32(_mm512_castps_si512(rest), half), upper);
    return {{high, middle, _mm512_castps_si512(_mm512_sub_ps(rest, _mm512_castsi512_ps(middle)))}};
}

/** Packs panels of matrices; remembers the largest magnitude. */
class TilePacker {
public:
    /** False where a number is infinite, no number, or so large that a part could not hold it: parts multiply to NaN then. */
    bool can_split() const {
        constexpr uint32_t kTooLarge = 0x7f000000u << 1;  // 2^127, without its sign
        return _mm512_reduce_max_epu32(largest_) < kTooLarge;
    }

    /** `count` rows of A by `depth` steps, zeros beyond them: panels of kBlock rows, panel_words apart. */
    void pack_rows(Matrix a, int count, int depth, uint32_t* to, size_t panel_words) {
        for_tiles(count, depth, a.col == 1, to, panel_words, [&](int first, int k, int rows, int steps, uint32_t* tile) {
            const Matrix from = a.at(first, k);
            if (from.col != 1) pack_turned(from.data, from.col, rows, steps, kChunk, tile);
            else if (steps == kChunk && rows == kSide) pack_row_tile(from, [](const float* x, int) { return load(x); }, tile);
            else pack_row_tile(from, [&](const float* x, int i) { return i < rows ? first_of(x, from.data + i * from.row + steps) : all(0); }, tile);
        });
    }

    /** `count` columns of B, likewise. */
    void pack_cols(Matrix b, int count, int depth, uint32_t* to, size_t panel_words) {
        for_tiles(count, depth, b.row == 1, to, panel_words, [&](int first, int k, int cols, int steps, uint32_t* tile) {
            const Matrix from = b.at(k, first);
            if (from.col != 1) pack_turned(from.data, from.col, steps, cols, kSide, tile);
            else if (steps == kChunk && cols == kSide) pack_col_tile(from, [](const float* x, int) { return load(x); }, tile);
            else pack_col_tile(from, [&](const float* x, int p) { return p < steps ? load_n(x, cols) : all(0); }, tile);
        });
    }

private:
    /** Calls `pack` for each tile in an order that reads memory in long pieces: along the steps first, or across them. */
    template <class Pack>
    HEED_INLINE void for_tiles(int count, int depth, bool is_along, uint32_t* to, size_t panel_words, const Pack& pack) {
        const int width = is_along ? kBlock : count;
        for (int begin = 0; begin < count; begin += width) {
            for (int k = 0; k < depth; k += kChunk) {
                for (int first = begin; first < begin + width && first < count; first += kSide) {
                    pack(first, k, count - first < kSide ? count - first : kSide, depth - k < kChunk ? depth - k : kChunk,
                         to + first / kBlock * panel_words + (size_t)(k / kChunk) * kChunkWords + first / kSide % 2 * kTileWords);
                }
            }
        }
    }

    /** Word p of row i: steps p and p + kSide. load_row(address, i) gives 16 floats. */
    template <class Load>
    HEED_INLINE void pack_row_tile(Matrix a, const Load& load_row, uint32_t* to) {
        __m512i largest = largest_;
        for (int i = 0; i < kSide; i++) {
            const float* row = a.data + i * a.row;
            largest = put(load_row(row, i).v, load_row(row + kSide, i).v, largest, to + i * kSide);
        }
        largest_ = largest;
    }

    /** Word j of row p: steps p and p + kSide of column j. load_row(address, step) gives 16 floats. */
    template <class Load>
    HEED_INLINE void pack_col_tile(Matrix b, const Load& load_row, uint32_t* to) {
        __m512i largest = largest_;
        for (int p = 0; p < kSide; p++) {
            const float* even = b.data + p * b.row;
            largest = put(load_row(even, p).v, load_row(even + kSide * b.row, p + kSide).v, largest, to + p * kSide);
        }
        largest_ = largest;
    }

    /** The same through a copy that is turned over, in rows of `width` floats: `from` has `outer` rows, `stride` apart, of `inner`. */
    void pack_turned(const float* from, size_t stride, int inner, int outer, int width, uint32_t* to) {
        alignas(64) float turned[kChunk * kSide];
        for (int i = 0; i < kChunk * kSide / width; i += kSide) {
            for (int j = 0; j < width; j += kSide) {
                float* block = turned + i * width + j;
                if (i + kSide <= inner && j + kSide <= outer) {
                    transpose_lanes(from + j * stride + i, stride, block, width);
                    continue;
                }
                for (int x = 0; x < kSide; x++)
                    for (int y = 0; y < kSide; y++)
                        block[x * width + y] = i + x < inner && j + y < outer ? from[(j + y) * stride + i + x] : 0.0f;
            }
        }
        const Matrix copy{turned, (size_t)width, 1};
        const auto whole = [](const float* x, int) { return load(x); };
        if (width == kChunk) pack_row_tile(copy, whole, to);
        else pack_col_tile(copy, whole, to);
    }

    /** One word for each lane: the parts of `even` below those of `odd`, each in its tile. Returns the larger magnitudes. */
    HEED_INLINE static __m512i put(__m512 even, __m512 odd, __m512i largest, uint32_t* to) {
        const __m512i a = _mm512_castps_si512(even), b = _mm512_castps_si512(odd);
        const Parts x = split(even), y = split(odd);
#pragma GCC unroll 3
        for (int i = 0; i < 3; i++)
            _mm512_store_si512(to + i * kPart, _mm512_mask_blend_epi16(0xaaaaaaaa, _mm512_srli_epi32(x.part[i], 16), y.part[i]));
        return _mm512_max_epu32(largest, _mm512_max_epu32(_mm512_add_epi32(a, a), _mm512_add_epi32(b, b)));
    }

    /** The floats from x on that lie before `end`. */
    HEED_INLINE static Vec first_of(const float* x, const float* end) {
        return x >= end ? all(0) : load_first(x, end - x < kSide ? (int)(end - x) : kSide);
    }

    __m512i largest_ = _mm512_setzero_si512();
};

/** What is needed next: with each of the kPartProducts of a chunk so many lines of it are fetched into the second-level cache. */
struct Ahead {
    const float* from;
    int lines;

    HEED_INLINE void fetch() {
        for (int i = 0; i < lines; i++, from += kLine) __builtin_prefetch(from, 0, 2);
    }
    /** The same from `chunks` chunks later on. */
    Ahead after(int chunks) const { return {from + (size_t)chunks * kPartProducts * lines * kLine, lines}; }
};

/** The block of C = A · B over packed chunks; both or one of the two tiles of rows and of columns. */
template <bool kBothRows, bool kBothCols>
HEED_WITH_TILES __attribute__((noinline)) void multiply_tiles(const uint32_t* a, const uint32_t* b, int chunks, float* c, size_t stride,
                                                              const float* start, size_t start_stride, Ahead shared, Ahead own) {
    constexpr int kRowBytes = 4 * kSide;
    const size_t start_bytes = sizeof(float) * start_stride, c_bytes = sizeof(float) * stride;
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    if (start) {
        _tile_loadd(0, start, start_bytes);
        if (kBothCols) _tile_loadd(1, start + kSide, start_bytes);
        if (kBothRows) _tile_loadd(2, start + kSide * start_stride, start_bytes);
        if (kBothRows && kBothCols) _tile_loadd(3, start + kSide * start_stride + kSide, start_bytes);
    }
#define HEED_LOAD_A(part)                                                             \
    _tile_loadd(4, a + (part) * kPart, kRowBytes);                                    \
    if (kBothRows) _tile_loadd(5, a + (part) * kPart + kTileWords, kRowBytes)
#define HEED_LOAD_B(part)                                                             \
    _tile_loadd(6, b + (part) * kPart, kRowBytes);                                    \
    if (kBothCols) _tile_loadd(7, b + (part) * kPart + kTileWords, kRowBytes)
#define HEED_MULTIPLY                                                                 \
    shared.fetch();                                                                   \
    own.fetch();                                                                      \
    _tile_dpbf16ps(0, 4, 6);                                                          \
    if (kBothCols) _tile_dpbf16ps(1, 4, 7);                                           \
    if (kBothRows) _tile_dpbf16ps(2, 5, 6);                                           \
    if (kBothRows && kBothCols) _tile_dpbf16ps(3, 5, 7)
    // Part 0 is the high one. In this order two tiles at most are new for each product.
    for (int i = 0; i < chunks; i++, a += kChunkWords, b += kChunkWords) {
        HEED_LOAD_A(0);
        HEED_LOAD_B(2);
        HEED_MULTIPLY;
        HEED_LOAD_B(0);
        HEED_MULTIPLY;
        HEED_LOAD_A(2);
        HEED_MULTIPLY;
        HEED_LOAD_A(1);
        HEED_MULTIPLY;
        HEED_LOAD_B(1);
        HEED_MULTIPLY;
        HEED_LOAD_A(0);
        HEED_MULTIPLY;
    }
#undef HEED_LOAD_A
#undef HEED_LOAD_B
#undef HEED_MULTIPLY
    _tile_stored(0, c, c_bytes);
    if (kBothCols) _tile_stored(1, c + kSide, c_bytes);
    if (kBothRows) _tile_stored(2, c + kSide * stride, c_bytes);
    if (kBothRows && kBothCols) _tile_stored(3, c + kSide * stride + kSide, c_bytes);
}

/** The block of C whose first element `to` names: rows and cols at most kBlock. */
inline void tile_block(const uint32_t* a, const uint32_t* b, int depth, int rows, int cols, const Output& to, Ahead shared,
                       Ahead own) {
    const auto product = rows > kSide ? (cols > kSide ? multiply_tiles<true, true> : multiply_tiles<true, false>)
                                      : (cols > kSide ? multiply_tiles<false, true> : multiply_tiles<false, false>);
    const int chunks = (depth + kChunk - 1) / kChunk;
    const bool is_whole = rows % kSide == 0 && cols % kSide == 0;
    if (is_whole && !(to.accumulate && to.bias)) {
        // Rows of the bias lie 0 apart: all are the same.
        product(a, b, chunks, to.c, to.stride, to.accumulate ? to.c : to.bias, to.accumulate ? to.stride : 0, shared,
                own);
    } else {
        alignas(64) float sums[kBlock * kBlock];
        product(a, b, chunks, sums, kBlock, nullptr, 0, shared, own);
        for (int i = 0; i < rows; i++) {
            float* c = to.c + i * to.stride;
            HEED_FOR_VECTORS(j, n, cols, {
                Vec y = load(sums + i * kBlock + j);
                if (to.accumulate) y = y + load_n(c + j, n);
                if (to.bias) y = y + load_n(to.bias + j, n);
                store_n(c + j, y, n);
            });
        }
    }
    if (to.activation != Activation::kNone) activate_tile(to, rows, cols);
}

}  // namespace
#endif
