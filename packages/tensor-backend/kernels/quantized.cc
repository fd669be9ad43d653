// Linear layers whose weights are kept in ggml's quantised blocks, or in 16-bit floats. For the kernels the rows of a
// weight are repacked into strips of 16, interleaved so that a vector holds the same columns of adjacent rows: sums stay
// in lanes, and scales are read as vectors. A strip is a run of blocks; a block has 16 rows' scales, then their quanta in
// groups of four columns. Activations are quantised to 8 bits with one scale for 32 of them, as ggml does.
#include <math.h>
#include <string.h>

#include "api.h"
#include "bytes.h"
#include "simd.h"
#include "threads.h"
#include "transpose.h"

using heed::parallel_for;

namespace {

enum class Kind : int { kQ8_0 = 0, kQ4_0 = 1, kQ4_K = 2, kQ6_K = 3, kF16 = 4, kBF16 = 5 };

constexpr int kStrip = 16;
constexpr int kSegments = kStrip / Vec::kLanes;
constexpr int kGroup = 4 * kStrip;          // bytes of four columns of a strip
constexpr int kSegmentBytes = 4 * Vec::kLanes;
// Rows of activations that share one reading of a strip, as many as registers allow.
#if defined(HEED_AVX512)
constexpr int kMaxTile = 8;
#else
constexpr int kMaxTile = 2;
#endif
// Rows of activations that stay in the second cache while the strips go by.
constexpr int kRowBlock = 64;
// Bytes of weights that are on their way while one row of activations is multiplied, where the kernel asks for them.
constexpr int kAhead = 2048;

/** Whether it does: one row waits for memory, and some processors fetch ahead too little by themselves. AMD's do it better unasked. */
bool fetches_ahead() {
#if defined(__x86_64__)
    static const bool is_amd = (__builtin_cpu_init(), __builtin_cpu_is("amd"));
    return !is_amd;
#else
    return true;
#endif
}

/** Quantised rows: quanta [rows, cols], scales [rows, cols / 32], sums of 16 quanta [rows, cols / 16]; or floats. */
struct Activations {
    const int8_t* quanta;
    const float* scales;
    const int32_t* sums;
    const float* floats;
    int cols;

    int four(int row, int col) const {
        int word;
        memcpy(&word, quanta + (size_t)row * cols + col, sizeof word);
        return word;
    }
    float scale(int row, int col) const { return scales[(size_t)row * (cols / 32) + col / 32]; }
    int sum16(int row, int col) const { return sums[(size_t)row * (cols / 16) + col / 16]; }
    int sum32(int row, int col) const { return sum16(row, col) + sum16(row, col + 16); }
};

/** Sums of a strip for kTile rows of activations. */
template <int kTile>
struct Totals {
    Vec v[kTile][kSegments];
};

/** The float16 of one row among the 16 at p. */
float half_at(const uint8_t* p, int row) {
    float lanes[Vec::kLanes];
    store(lanes, load_f16(p + 2 * (row / Vec::kLanes * Vec::kLanes)));
    return lanes[row % Vec::kLanes];
}

uint32_t word_at(const uint8_t* p) {
    uint32_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

/** Puts four bytes of a row, which lie in one word of the source and one of a strip. */
void put_word(uint8_t* group, int row, uint32_t word) { memcpy(group + 4 * row, &word, sizeof word); }

struct Q8_0 {
    static constexpr int kCols = 32, kBytes = 2 * kStrip + 32 * kStrip, kSourceBytes = 34;

    template <int kTile>
    static HEED_INLINE void add(const uint8_t* w, const Activations& x, int row, int col, Totals<kTile>& totals) {
        for (int s = 0; s < kSegments; s++) {
            Ints sums[kTile];
            for (int t = 0; t < kTile; t++) sums[t] = all_ints(kSignedOffset ? -kSignedOffset * x.sum32(row + t, col) : 0);
            const uint8_t* quanta = w + 2 * kStrip + s * kSegmentBytes;
#pragma GCC unroll 8
            for (int g = 0; g < 8; g++) {
                const Bytes left = load_bytes(quanta + g * kGroup);
                for (int t = 0; t < kTile; t++) sums[t] = dot_signed(sums[t], left, x.four(row + t, col + 4 * g));
            }
            const Vec scale = load_f16(w + 2 * s * Vec::kLanes);
            for (int t = 0; t < kTile; t++)
                totals.v[t][s] = fma(to_float(sums[t]) * all(x.scale(row + t, col)), scale, totals.v[t][s]);
        }
    }

    static void pack(const uint8_t* from, uint8_t* to, int row) {
        memcpy(to + 2 * row, from, 2);
        for (int g = 0; g < 8; g++) put_word(to + 2 * kStrip + g * kGroup, row, word_at(from + 2 + 4 * g));
    }

    /** The weights of one row of a block. */
    static void unpack(const uint8_t* w, int row, float* to) {
        const float scale = half_at(w, row);
        for (int i = 0; i < 32; i++) to[i] = scale * (float)(int8_t)w[2 * kStrip + i / 4 * kGroup + 4 * row + i % 4];
    }
};

/** Adds Σ of 32 nibbles times activations: group 2i lies in the low halves of the i-th bytes, group 2i + 1 in the high. */
template <int kTile>
HEED_INLINE void add_nibbles(const uint8_t* nibbles, const Activations& x, int row, int col, Ints* sums) {
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        const Bytes both = load_bytes(nibbles + i * kGroup);
        const Bytes low = both & 15, high = shift_right<4>(both);
        for (int t = 0; t < kTile; t++) {
            sums[t] = dot_small(sums[t], low, x.four(row + t, col + 8 * i));
            sums[t] = dot_small(sums[t], high, x.four(row + t, col + 8 * i + 4));
        }
    }
}

int nibble_at(const uint8_t* nibbles, int row, int i) { return nibbles[i / 8 * kGroup + 4 * row + i % 4] >> (i / 4 % 2 * 4) & 15; }

/** The lower nibbles of four bytes, each in a byte of its own; of word >> 4, the upper ones. */
uint32_t low_nibbles(uint32_t word) { return word & 0x0f0f0f0fu; }

/** Puts 32 nibbles where add_nibbles looks for them; four(g) are those of columns 4g .. 4g + 3, each in a byte. */
template <class Four>
void put_nibbles(uint8_t* nibbles, int row, const Four& four) {
    for (int i = 0; i < 4; i++) put_word(nibbles + i * kGroup, row, four(2 * i) | four(2 * i + 1) << 4);
}

struct Q4_0 {
    static constexpr int kCols = 32, kBytes = 2 * kStrip + 16 * kStrip, kSourceBytes = 18;

    template <int kTile>
    static HEED_INLINE void add(const uint8_t* w, const Activations& x, int row, int col, Totals<kTile>& totals) {
        for (int s = 0; s < kSegments; s++) {
            Ints sums[kTile];
            for (int t = 0; t < kTile; t++) sums[t] = all_ints(-8 * x.sum32(row + t, col));
            add_nibbles<kTile>(w + 2 * kStrip + s * kSegmentBytes, x, row, col, sums);
            const Vec scale = load_f16(w + 2 * s * Vec::kLanes);
            for (int t = 0; t < kTile; t++)
                totals.v[t][s] = fma(to_float(sums[t]) * all(x.scale(row + t, col)), scale, totals.v[t][s]);
        }
    }

    static void pack(const uint8_t* from, uint8_t* to, int row) {
        memcpy(to + 2 * row, from, 2);
        put_nibbles(to + 2 * kStrip, row, [&](int g) { return low_nibbles(word_at(from + 2 + 4 * (g % 4)) >> (g < 4 ? 0 : 4)); });
    }

    static void unpack(const uint8_t* w, int row, float* to) {
        const float scale = half_at(w, row);
        for (int i = 0; i < 32; i++) to[i] = scale * (float)(nibble_at(w + 2 * kStrip, row, i) - 8);
    }
};

/** d, dmin [16] float16; scales, then minima [8, 16] bytes; nibbles [8, 4 groups]. weight = d · scale · q - dmin · minimum. */
struct Q4_K {
    static constexpr int kCols = 256, kSourceBytes = 144;
    static constexpr int kScales = 4 * kStrip, kMinima = kScales + 8 * kStrip, kNibbles = kMinima + 8 * kStrip;
    static constexpr int kBytes = kNibbles + 128 * kStrip;

    template <int kTile>
    static HEED_INLINE void add(const uint8_t* w, const Activations& x, int row, int col, Totals<kTile>& totals) {
        for (int s = 0; s < kSegments; s++) {
            const int lane = s * Vec::kLanes;
            Vec products[kTile], minima[kTile];
            for (int t = 0; t < kTile; t++) products[t] = minima[t] = all(0);
            for (int part = 0; part < 8; part++) {
                const int at = col + 32 * part;
                Ints sums[kTile];
                for (int t = 0; t < kTile; t++) sums[t] = all_ints(0);
                add_nibbles<kTile>(w + kNibbles + part * 4 * kGroup + s * kSegmentBytes, x, row, at, sums);
                const Vec scale = load_u8(w + kScales + part * kStrip + lane);
                const Vec minimum = load_u8(w + kMinima + part * kStrip + lane);
                for (int t = 0; t < kTile; t++) {
                    const float factor = x.scale(row + t, at);
                    products[t] = fma(to_float(sums[t]) * all(factor), scale, products[t]);
                    minima[t] = fma(all(factor * (float)x.sum32(row + t, at)), minimum, minima[t]);
                }
            }
            const Vec d = load_f16(w + 2 * lane), dmin = load_f16(w + 2 * kStrip + 2 * lane);
            for (int t = 0; t < kTile; t++) totals.v[t][s] = fma(products[t], d, totals.v[t][s]) - minima[t] * dmin;
        }
    }

    static void pack(const uint8_t* from, uint8_t* to, int row) {
        memcpy(to + 2 * row, from, 2);
        memcpy(to + 2 * kStrip + 2 * row, from + 2, 2);
        const uint8_t* packed = from + 4;  // eight scales and minima of six bits in twelve bytes
        for (int part = 0; part < 8; part++) {
            const bool is_low = part < 4;
            to[kScales + part * kStrip + row] =
                (uint8_t)(is_low ? packed[part] & 63 : (packed[part + 4] & 15) | (packed[part - 4] >> 6) << 4);
            to[kMinima + part * kStrip + row] =
                (uint8_t)(is_low ? packed[part + 4] & 63 : (packed[part + 4] >> 4) | (packed[part] >> 6) << 4);
            const uint8_t* quanta = from + 16 + part / 2 * 32;
            put_nibbles(to + kNibbles + part * 4 * kGroup, row,
                        [&](int g) { return low_nibbles(word_at(quanta + 4 * g) >> 4 * (part % 2)); });
        }
    }

    static void unpack(const uint8_t* w, int row, float* to) {
        const float d = half_at(w, row), dmin = half_at(w + 2 * kStrip, row);
        for (int i = 0; i < 256; i++) {
            const int part = i / 32;
            const float scale = d * (float)w[kScales + part * kStrip + row], minimum = dmin * (float)w[kMinima + part * kStrip + row];
            to[i] = scale * (float)nibble_at(w + kNibbles + part * 4 * kGroup, row, i % 32) - minimum;
        }
    }
};

/** d [16] float16; scales [16, 16] signed bytes; for each 32 columns nibbles [4 groups] and high bits [2 groups]. */
struct Q6_K {
    static constexpr int kCols = 256, kSourceBytes = 210;
    static constexpr int kScales = 2 * kStrip, kQuanta = kScales + 16 * kStrip, kBytes = kQuanta + 8 * 6 * kGroup;

    template <int kHalf, int kTile>
    static HEED_INLINE void add_half(const uint8_t* quanta, const Activations& x, int row, int col, Ints* sums) {
        const Bytes high = load_bytes(quanta + (4 + kHalf) * kGroup);
        const Bytes first = load_bytes(quanta + 2 * kHalf * kGroup), second = load_bytes(quanta + (2 * kHalf + 1) * kGroup);
        const Bytes groups[4] = {(first & 15) | (shift_left<4>(high) & 0x30), shift_right<4>(first) | (shift_left<2>(high) & 0x30),
                                 (second & 15) | (high & 0x30), shift_right<4>(second) | (shift_right<2>(high) & 0x30)};
#pragma GCC unroll 4
        for (int g = 0; g < 4; g++)
            for (int t = 0; t < kTile; t++) sums[t] = dot_small(sums[t], groups[g], x.four(row + t, col + 4 * g));
    }

    template <int kHalf, int kTile>
    static HEED_INLINE void add_scaled(const uint8_t* w, int part, int s, const Activations& x, int row, int col, Vec* products) {
        Ints sums[kTile];
        for (int t = 0; t < kTile; t++) sums[t] = all_ints(-32 * x.sum16(row + t, col));
        add_half<kHalf, kTile>(w + kQuanta + part * 6 * kGroup + s * kSegmentBytes, x, row, col, sums);
        const Vec scale = load_s8(w + kScales + (2 * part + kHalf) * kStrip + s * Vec::kLanes);
        for (int t = 0; t < kTile; t++)
            products[t] = fma(to_float(sums[t]) * all(x.scale(row + t, col)), scale, products[t]);
    }

    template <int kTile>
    static HEED_INLINE void add(const uint8_t* w, const Activations& x, int row, int col, Totals<kTile>& totals) {
        for (int s = 0; s < kSegments; s++) {
            Vec products[kTile];
            for (int t = 0; t < kTile; t++) products[t] = all(0);
            for (int part = 0; part < 8; part++) {
                add_scaled<0, kTile>(w, part, s, x, row, col + 32 * part, products);
                add_scaled<1, kTile>(w, part, s, x, row, col + 32 * part + 16, products);
            }
            const Vec d = load_f16(w + 2 * s * Vec::kLanes);
            for (int t = 0; t < kTile; t++) totals.v[t][s] = fma(products[t], d, totals.v[t][s]);
        }
    }

    static void pack(const uint8_t* from, uint8_t* to, int row) {
        const uint8_t *low = from, *high = from + 128, *scales = from + 192;
        memcpy(to + 2 * row, from + 208, 2);
        for (int part = 0; part < 16; part++) to[kScales + part * kStrip + row] = scales[part];
        for (int part = 0; part < 8; part++) {
            const int half = part / 4, quarter = part % 4;
            const uint8_t *fours = low + 64 * half + quarter % 2 * 32, *twos = high + 32 * half;
            uint8_t* quanta = to + kQuanta + part * 6 * kGroup;
            put_nibbles(quanta, row, [&](int g) { return low_nibbles(word_at(fours + 4 * g) >> (quarter < 2 ? 0 : 4)); });
            for (int i = 0; i < 2; i++) {
                uint32_t word = 0;
                for (int g = 0; g < 4; g++)
                    word |= (word_at(twos + 16 * i + 4 * g) >> 2 * quarter & 0x03030303u) << 2 * g;
                put_word(quanta + (4 + i) * kGroup, row, word);
            }
        }
    }

    static void unpack(const uint8_t* w, int row, float* to) {
        const float d = half_at(w, row);
        for (int i = 0; i < 256; i++) {
            const int l = i % 32;
            const uint8_t* quanta = w + kQuanta + i / 32 * 6 * kGroup;
            const int two = quanta[(4 + l / 16) * kGroup + 4 * row + l % 4] >> 2 * (l / 4 % 4) & 3;
            const float scale = d * (float)(int8_t)w[kScales + i / 16 * kStrip + row];
            to[i] = scale * (float)((nibble_at(quanta, row, l) | two << 4) - 32);
        }
    }
};

/** 16-bit floats: [cols, 16]. */
template <bool kIsBfloat>
struct Half {
    static constexpr int kCols = 1, kBytes = 2 * kStrip, kSourceBytes = 2;

    static HEED_INLINE Vec read(const uint8_t* p) { return kIsBfloat ? load_bf16(p) : load_f16(p); }

    template <int kTile>
    static HEED_INLINE void add(const uint8_t* w, const Activations& x, int row, int col, Totals<kTile>& totals) {
        for (int s = 0; s < kSegments; s++) {
            const Vec weight = read(w + 2 * s * Vec::kLanes);
            for (int t = 0; t < kTile; t++)
                totals.v[t][s] = fma(all(x.floats[(size_t)(row + t) * x.cols + col]), weight, totals.v[t][s]);
        }
    }

    /** A strip of `rows` rows, row_bytes apart. Two columns move as one word, so that words are transposed in registers. */
    static void pack_strip(const uint8_t* from, size_t row_bytes, int rows, int cols, uint8_t* to) {
        constexpr int L = Vec::kLanes;
        const bool is_aligned = (uintptr_t)from % sizeof(float) == 0 && row_bytes % sizeof(float) == 0;
        int col = 0;
        for (; is_aligned && rows == kStrip && col + 2 * L <= cols; col += 2 * L) {
            float pairs[L * kStrip];
            for (int row = 0; row < kStrip; row += L) {
                const uint8_t* block = from + row * row_bytes + 2 * col;
                transpose_lanes(reinterpret_cast<const float*>(block), row_bytes / sizeof(float), pairs + row, kStrip);
            }
            for (int i = 0; i < L; i++) {
                uint32_t words[kStrip];
                uint16_t halves[2][kStrip];
                memcpy(words, pairs + i * kStrip, sizeof words);
                for (int row = 0; row < kStrip; row++) {
                    halves[0][row] = (uint16_t)words[row];
                    halves[1][row] = (uint16_t)(words[row] >> 16);
                }
                memcpy(to + (size_t)(col + 2 * i) * kBytes, halves, sizeof halves);
            }
        }
        for (; col < cols; col++)
            for (int row = 0; row < rows; row++) memcpy(to + (size_t)col * kBytes + 2 * row, from + row * row_bytes + 2 * col, 2);
    }

    static void unpack(const uint8_t* w, int row, float* to) {
        float lanes[Vec::kLanes];
        store(lanes, read(w + 2 * (row / Vec::kLanes * Vec::kLanes)));
        *to = lanes[row % Vec::kLanes];
    }
};

/** Calls body(format) with an object of the format's type. */
template <class Body>
void with_format(Kind kind, const Body& body) {
    switch (kind) {
        case Kind::kQ8_0: return body(Q8_0());
        case Kind::kQ4_0: return body(Q4_0());
        case Kind::kQ4_K: return body(Q4_K());
        case Kind::kQ6_K: return body(Q6_K());
        case Kind::kF16: return body(Half<false>());
        case Kind::kBF16: return body(Half<true>());
    }
}

template <class Format>
size_t strip_bytes(int cols) {
    return (size_t)(cols / Format::kCols) * Format::kBytes;
}

/** y[row .. row + kTile, first .. first + 16) of one strip. */
template <class Format, int kTile>
__attribute__((noinline)) void strip_rows(const uint8_t* strip, const Activations& x, int row, const float* bias, float* y,
                                          int first, int out) {
    Totals<kTile> totals;
    for (int t = 0; t < kTile; t++)
        for (int s = 0; s < kSegments; s++) totals.v[t][s] = all(0);
    const int fetched = kTile == 1 && fetches_ahead() ? Format::kBytes : 0;
    for (int col = 0; col < x.cols; col += Format::kCols, strip += Format::kBytes) {
        for (int byte = 0; byte < fetched; byte += 64) __builtin_prefetch(strip + kAhead + byte);
        Format::template add<kTile>(strip, x, row, col, totals);
    }
    for (int s = 0; s < kSegments; s++) {
        const int at = first + s * Vec::kLanes;
        const int n = out - at < Vec::kLanes ? out - at : Vec::kLanes;
        if (n <= 0) break;
        for (int t = 0; t < kTile; t++)
            store_n(y + (size_t)(row + t) * out + at, bias ? totals.v[t][s] + load_n(bias + at, n) : totals.v[t][s], n);
    }
}

/** Where quantised activations lie. */
struct Workspace {
    float* scales;
    int32_t* sums;
    int8_t* quanta;

    Workspace(float* start, int rows, int cols)
        : scales(start),
          sums(reinterpret_cast<int32_t*>(scales + (size_t)rows * (cols / 32))),
          quanta(reinterpret_cast<int8_t*>(sums + (size_t)rows * (cols / 16))) {}
};

/** Rounds rows of x to 8 bits: the scale of 32 values is the largest of them over 127. */
void quantize_rows(const float* x, int rows, int cols, int8_t* quanta, float* scales, int32_t* sums) {
    parallel_for(rows * (cols / 32), 256, [&](int begin, int end) {
        for (int block = begin; block < end; block++) {
            const float* from = x + (size_t)block * 32;
            int8_t* to = quanta + (size_t)block * 32;
            Vec magnitudes = all(0);
            for (int i = 0; i < 32; i += Vec::kLanes) magnitudes = max(magnitudes, max(load(from + i), all(0) - load(from + i)));
            const float largest = highest(magnitudes);
            const float inverse = largest > 0 ? 127.0f / largest : 0;
            for (int i = 0; i < 32; i++) to[i] = (int8_t)rintf(from[i] * inverse);
            scales[block] = largest / 127.0f;
            for (int half = 0; half < 2; half++) {
                int sum = 0;
                for (int i = 0; i < 16; i++) sum += to[16 * half + i];
                sums[2 * block + half] = sum;
            }
        }
    });
}

}  // namespace

/** Blocks of ggml, or 16-bit floats, [rows, cols], each row `row_step` rows after the last -> strips; rows beyond are zero. */
void HEED_KERNEL(quantized_pack)(const uint8_t* blocks, uint8_t* strips, int kind, int rows, int cols, int row_step) {
    with_format((Kind)kind, [&](auto format) {
        using Format = decltype(format);
        const int per_row = cols / Format::kCols;
        const size_t row_bytes = (size_t)row_step * per_row * Format::kSourceBytes;
        parallel_for((rows + kStrip - 1) / kStrip, 1, [&](int begin, int end) {
            if (end * kStrip > rows) memset(strips + (end - 1) * strip_bytes<Format>(cols), 0, strip_bytes<Format>(cols));
            for (int strip = begin; strip < end; strip++) {
                const int strip_rows = rows - strip * kStrip < kStrip ? rows - strip * kStrip : kStrip;
                const uint8_t* from = blocks + strip * kStrip * row_bytes;
                uint8_t* to = strips + strip * strip_bytes<Format>(cols);
                if constexpr (Format::kCols == 1) {
                    Format::pack_strip(from, row_bytes, strip_rows, cols, to);
                } else {
                    for (int block = 0; block < per_row; block++, from += Format::kSourceBytes, to += Format::kBytes)
                        for (int row = 0; row < strip_rows; row++) Format::pack(from + row * row_bytes, to, row);
                }
            }
        });
    });
}

/** What quantized_part reads of x [rows, cols] beside x itself. workspace, for all kinds but 16-bit floats: rows · cols · 11 / 32 floats. */
void HEED_KERNEL(quantized_activations)(const float* x, float* workspace, int kind, int rows, int cols) {
    const Workspace parts(workspace, rows, cols);
    if (kind < (int)Kind::kF16) quantize_rows(x, rows, cols, parts.quanta, parts.scales, parts.sums);
}

/** y [rows, first .. last) of y [rows, out], from the strips of these rows of the weight; first is a multiple of 16. */
void HEED_KERNEL(quantized_part)(const float* x, const uint8_t* strips, const float* bias, float* y, float* workspace, int kind,
                                 int rows, int cols, int out, int first, int last) {
    const Workspace parts(workspace, rows, cols);
    const Activations activations = {parts.quanta, parts.scales, parts.sums, x, cols};
    with_format((Kind)kind, [&](auto format) {
        using Format = decltype(format);
        for (int block = 0; block < rows; block += kRowBlock) {
            const int end = block + kRowBlock < rows ? block + kRowBlock : rows;
            const uint8_t* w = strips;
            for (int col = first; col < last; col += kStrip, w += strip_bytes<Format>(cols)) {
                int row = block;
                for (; row + kMaxTile <= end; row += kMaxTile) strip_rows<Format, kMaxTile>(w, activations, row, bias, y, col, out);
                if (kMaxTile > 4 && row + 4 <= end) {
                    strip_rows<Format, 4>(w, activations, row, bias, y, col, out);
                    row += 4;
                }
                if (row + 2 <= end) {
                    strip_rows<Format, 2>(w, activations, row, bias, y, col, out);
                    row += 2;
                }
                if (row < end) strip_rows<Format, 1>(w, activations, row, bias, y, col, out);
            }
        }
    });
}

/** y [rows, out] = x [rows, cols] · weightᵀ + bias, bias [out] or null; workspace as for quantized_activations. */
void HEED_KERNEL(quantized_linear)(const float* x, const uint8_t* strips, const float* bias, float* y, float* workspace, int kind,
                                   int rows, int cols, int out) {
    HEED_KERNEL(quantized_activations)(x, workspace, kind, rows, cols);
    size_t bytes = 0;
    with_format((Kind)kind, [&](auto format) { bytes = strip_bytes<decltype(format)>(cols); });
    parallel_for((out + kStrip - 1) / kStrip, 1 + 4096 / (rows * cols + 1), [&](int begin, int end) {
        const int last = end * kStrip < out ? end * kStrip : out;
        HEED_KERNEL(quantized_part)(x, strips + begin * bytes, bias, y, workspace, kind, rows, cols, out, begin * kStrip, last);
    });
}

/** y [count, cols]: the weights of the rows `ids`, or of the first `count` rows where ids is null, as floats. */
void HEED_KERNEL(quantized_rows)(const uint8_t* strips, const int32_t* ids, float* y, int kind, int count, int cols) {
    with_format((Kind)kind, [&](auto format) {
        using Format = decltype(format);
        parallel_for(count, 1 + 4096 / (cols + 1), [&](int begin, int end) {
            for (int i = begin; i < end; i++) {
                const int row = ids ? ids[i] : i;
                const uint8_t* w = strips + row / kStrip * strip_bytes<Format>(cols);
                for (int col = 0; col < cols; col += Format::kCols, w += Format::kBytes)
                    Format::unpack(w, row % kStrip, y + (size_t)i * cols + col);
            }
        });
    });
}
