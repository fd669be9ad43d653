// Attention that never holds the score matrix: blocks of queries against blocks of keys, with the running maximum and
// sum of Dao et al. 2022 (arXiv:2205.14135), algorithms 1 and 2. Heads stay interleaved in memory, as they come.
#include <float.h>
#include <string.h>

#include "api.h"
#include "block_product.h"
#include "dropout.h"
#include "packed_rows.h"
#include "simd.h"
#include "threads.h"
#include "transpose.h"

using heed::parallel_for;

namespace {

// Scores of a block, 64 x 64, take 16 KB: with the keys and values of the block they stay in the first two caches.
constexpr int kKeyBlock = 64;
constexpr int kQueryBlock = 64;
constexpr float kHidden = -INFINITY;

int least(int a, int b) { return a < b ? a : b; }
int most(int a, int b) { return a > b ? a : b; }
int round_up(int n, int step) { return (n + step - 1) / step * step; }

/** A half-open range. */
struct Range {
    int begin, end;
    bool is_empty() const { return begin >= end; }
};

struct Problem {
    const float *q, *k, *v, *bias;
    const int32_t* key_mask;
    int batch, queries, keys, capacity, heads, kv_heads, head_dim, value_dim;
    bool is_causal;
    int window;
    float scale, softcap;
    int bias_batch, bias_head, bias_row;
    uint32_t drop_below;
    float drop_scale;
    uint32_t seed;

    int group() const { return heads / kv_heads; }
    size_t q_row() const { return (size_t)heads * head_dim; }
    size_t k_row() const { return (size_t)kv_heads * head_dim; }
    size_t v_row() const { return (size_t)kv_heads * value_dim; }
    size_t out_row() const { return (size_t)heads * value_dim; }
    /** Keys rounded up to whole blocks: the row length of transposed keys and values. */
    int padded_keys() const { return round_up(keys, kKeyBlock); }

    size_t query_at(int b, int i, int h) const { return ((size_t)b * queries + i) * q_row() + (size_t)h * head_dim; }
    size_t out_at(int b, int i, int h) const { return ((size_t)b * queries + i) * out_row() + (size_t)h * value_dim; }
    size_t key_at(int b, int j, int kv) const { return ((size_t)b * capacity + j) * k_row() + (size_t)kv * head_dim; }
    size_t value_at(int b, int j, int kv) const { return ((size_t)b * capacity + j) * v_row() + (size_t)kv * value_dim; }
    /** Rows of lse and delta. */
    size_t row_at(int b, int i, int h) const { return ((size_t)b * heads + h) * queries + i; }
    size_t score_at(int b, int i, int h) const { return row_at(b, i, h) * keys; }

    /** The keys that query i may see. Both ends never decrease with i. */
    Range visible(int i) const {
        const int position = i + keys - queries;
        const int end = is_causal ? most(least(keys, position + 1), 0) : keys;
        const int begin = window > 0 ? most(position - window + 1, 0) : 0;
        return {least(begin, end), end};
    }
    /** The keys of [j0, j0 + count) that any of the queries [i0, i0 + rows) may see, counted from j0. */
    Range visible_in_block(int i0, int rows, int j0, int count) const {
        const int begin = visible(i0).begin - j0, end = visible(i0 + rows - 1).end - j0;
        return {least(most(begin, 0), count), most(least(end, count), 0)};
    }
};

#define HEED_PROBLEM                                                                                                  \
    Problem {                                                                                                         \
        q, k, v, bias, key_mask, batch, queries, keys, capacity, heads, kv_heads, head_dim, value_dim, is_causal != 0, \
            window, scale, softcap, bias_batch, bias_head, bias_row, drop_below, drop_scale, (uint32_t)seed           \
    }

/** Dot products to capped scores, in place: softcap · tanh(scale · s / softcap). */
void scale_and_cap(const Problem& p, float* s, int count) {
    if (p.softcap > 0) {
        const Vec cap = all(p.softcap), inner = all(p.scale / p.softcap);
        HEED_FOR_VECTORS(j, n, count, { store_n(s + j, cap * tanh(load_n(s + j, n) * inner), n); });
    } else {
        HEED_FOR_VECTORS(j, n, count, { store_n(s + j, load_n(s + j, n) * all(p.scale), n); });
    }
}

/** Adds the bias and hides the padding, for query i and keys j .. j + count - 1 of head h. */
void add_bias_and_mask(const Problem& p, int b, int i, int h, int j, float* s, int count) {
    if (p.bias) {
        const float* bias = p.bias + (size_t)b * p.bias_batch + (size_t)h * p.bias_head + (size_t)i * p.bias_row + j;
        HEED_FOR_VECTORS(at, n, count, { store_n(s + at, load_n(s + at, n) + load_n(bias + at, n), n); });
    }
    if (p.key_mask) {
        const int32_t* mask = p.key_mask + (size_t)b * p.keys + j;
        for (int at = 0; at < count; at++) s[at] = mask[at] ? s[at] : kHidden;
    }
}

/** s becomes e^(s - shift); returns the sum. */
float exp_and_sum(float* s, int count, float shift) {
    Vec total = all(0);
    HEED_FOR_VECTORS(j, n, count, {
        const Vec e = exp(load_n(s + j, n) - all(shift));
        store_n(s + j, e, n);
        total = total + (n == Vec::kLanes ? e : load_n(s + j, n));
    });
    return sum(total);
}

float highest_of(const float* s, int count) {
    float top = -FLT_MAX;
    int j = 0;
    if (count >= Vec::kLanes) {
        Vec tops = load(s);
        for (j = Vec::kLanes; j + Vec::kLanes <= count; j += Vec::kLanes) tops = max(tops, load(s + j));
        top = highest(tops);
    }
    for (; j < count; j++) top = s[j] > top ? s[j] : top;
    return top > -FLT_MAX ? top : -FLT_MAX;  // all hidden: a shift that keeps e^(s - shift) at 0
}

void scale_row(float* row, int count, float factor) {
    HEED_FOR_VECTORS(j, n, count, { store_n(row + j, load_n(row + j, n) * all(factor), n); });
}

void zero(float* row, int count) {
    if (count > 0) memset(row, 0, sizeof(float) * (size_t)count);
}

/** Multiplies s by the dropout mask; element j of s has the number first + j. */
void drop_scores(const Problem& p, size_t first, float* s, int count) {
    drop(s, s, first, count, p.drop_below, p.drop_scale, p.seed);
}

/** Transposes the rows of one head of k or v, [keys, dim], to [dim, padded_keys], blocks [begin, end) of kKeyBlock rows. */
void transpose_head(const Problem& p, const float* from, size_t from_row, float* to, int dim, int block) {
    const int j = block * kKeyBlock, count = least(kKeyBlock, p.keys - j);
    transpose_block(from + j * from_row, from_row, to + j, p.padded_keys(), count, dim);
}

/** The queries [i0, i0 + rows) of head h against all keys they see. */
void attend(const Problem& p, const float* keys_t, int b, int h, int i0, int rows, float* out, float* lse) {
    alignas(64) float scores[kQueryBlock * kKeyBlock];
    float highest[kQueryBlock], total[kQueryBlock];
    bool started[kQueryBlock];
    for (int r = 0; r < rows; r++) {
        highest[r] = -FLT_MAX;
        total[r] = 0;
        started[r] = false;
    }
    const int kv = h / p.group();
    const Range seen = {p.visible(i0).begin, p.visible(i0 + rows - 1).end};
    for (int j0 = seen.begin / kKeyBlock * kKeyBlock; j0 < seen.end; j0 += kKeyBlock) {
        const int count = least(kKeyBlock, p.keys - j0);
        for (int r0 = 0; r0 < rows; r0 += kBlockRows) {
            const int tile_rows = least(kBlockRows, rows - r0);
            Range tile = p.visible_in_block(i0 + r0, tile_rows, j0, count);
            if (tile.is_empty()) continue;
            tile.begin = tile.begin / Vec::kLanes * Vec::kLanes;
            float* s = scores + r0 * kKeyBlock;
            block_product({p.q + p.query_at(b, i0 + r0, h), p.q_row(), 1}, keys_t + j0 + tile.begin, p.padded_keys(),
                          s + tile.begin, kKeyBlock, tile_rows, round_up(tile.end, Vec::kLanes) - tile.begin, p.head_dim, false);
            for (int r = r0; r < r0 + tile_rows; r++) {
                const int i = i0 + r;
                const Range mine = p.visible_in_block(i, 1, j0, count);
                float* row = scores + r * kKeyBlock;
                if (mine.is_empty()) {
                    zero(row + tile.begin, tile.end - tile.begin);
                    continue;
                }
                zero(row + tile.begin, mine.begin - tile.begin);
                zero(row + mine.end, tile.end - mine.end);
                const int n = mine.end - mine.begin;
                float* own = row + mine.begin;
                scale_and_cap(p, own, n);
                add_bias_and_mask(p, b, i, h, j0 + mine.begin, own, n);
                const float before = highest[r];
                const float block_highest = highest_of(own, n);
                const float now = before > block_highest ? before : block_highest;
                const float sum = exp_and_sum(own, n, now);
                if (now != before && total[r] != 0) {
                    const float shrink = expf(before - now);
                    total[r] *= shrink;
                    scale_row(out + p.out_at(b, i, h), p.value_dim, shrink);
                }
                total[r] += sum;
                highest[r] = now;
                if (p.drop_below) drop_scores(p, p.score_at(b, i, h) + j0 + mine.begin, own, n);
            }
            block_product({s + tile.begin, kKeyBlock, 1}, p.v + p.value_at(b, j0 + tile.begin, kv), p.v_row(),
                          out + p.out_at(b, i0 + r0, h), p.out_row(), tile_rows, p.value_dim, tile.end - tile.begin,
                          started[r0]);
            started[r0] = true;
        }
    }
    for (int r = 0; r < rows; r++) {
        float* row = out + p.out_at(b, i0 + r, h);
        if (total[r] == 0 || !started[r / kBlockRows * kBlockRows]) zero(row, p.value_dim);
        else scale_row(row, p.value_dim, 1.0f / total[r]);
        if (lse) lse[p.row_at(b, i0 + r, h)] = total[r] == 0 ? INFINITY : highest[r] + logf(total[r]);
    }
}

}  // namespace

/**
 * out = softmax(scores) v; lse = log Σ e^score of each row, infinite for a row that sees nothing, or null.
 * workspace: batch · kv_heads · head_dim · keys rounded up to 64 floats.
 */
void HEED_KERNEL(attention)(HEED_ATTENTION_PROBLEM, float* out, float* lse, float* workspace) {
    const Problem p = HEED_PROBLEM;
    const int key_blocks = p.padded_keys() / kKeyBlock;
    const size_t head_size = (size_t)head_dim * p.padded_keys();
    parallel_for(batch * kv_heads * key_blocks, 1 + 16384 / (kKeyBlock * head_dim + 1), [&](int begin, int end) {
        for (int item = begin; item < end; item++) {
            const int head = item / key_blocks, b = head / kv_heads, kv = head % kv_heads;
            transpose_head(p, k + p.key_at(b, 0, kv), p.k_row(), workspace + head * head_size, head_dim, item % key_blocks);
        }
    });
    const int query_blocks = (queries + kQueryBlock - 1) / kQueryBlock;
    parallel_for(batch * heads * query_blocks, 1, [&](int begin, int end) {
        for (int item = begin; item < end; item++) {
            const int i0 = item % query_blocks * kQueryBlock, head = item / query_blocks, b = head / heads, h = head % heads;
            const float* keys_t = workspace + ((size_t)b * kv_heads + h / p.group()) * head_size;
            attend(p, keys_t, b, h, i0, least(kQueryBlock, queries - i0), out, lse);
        }
    });
}

namespace {

// Keys of one turn of a decoding step: their rows of all heads are read from memory together and used from the cache.
constexpr int kStepKeys = 32;
// Query rows that share one reading of keys and values.
constexpr int kStepRows = 8;

/** One piece of a decoding step: [value_dim] of weighted values, then the highest score and the sum of weights. */
struct Partial {
    float* values;
    float* highest;
    float* total;
};
Partial partial_at(const Problem& p, float* partial, int splits, int b, int split, int i, int h) {
    const size_t size = (size_t)p.value_dim + 2;
    float* at = partial + ((((size_t)b * splits + split) * p.queries + i) * p.heads + h) * size;
    return {at, at + p.value_dim, at + p.value_dim + 1};
}

float dot(const float* a, const float* b, int count) {
    Vec total = all(0);
    HEED_FOR_VECTORS(i, n, count, { total = fma(load_n(a + i, n), load_n(b + i, n), total); });
    return sum(total);
}

/** totals[lane] += query[0 .. n) · rows[lane], kept as vectors. */
HEED_INLINE void add_products(const float* query, const float* rows, size_t row, int n, Vec* totals) {
    const Vec part = load_n(query, n);
#pragma GCC unroll 16
    for (int lane = 0; lane < Vec::kLanes; lane++) totals[lane] = fma(part, load_n(rows + lane * row, n), totals[lane]);
}

/** products[j] = query · keys[j] for `count` keys that lie key_row apart. */
void dot_keys(const float* query, const float* keys, size_t key_row, int count, int dim, float* products) {
    constexpr int L = Vec::kLanes;
    int j = 0;
    for (; j + L <= count; j += L) {
        Vec totals[L];
#pragma GCC unroll 16
        for (int lane = 0; lane < L; lane++) totals[lane] = all(0);
        const float* rows = keys + j * key_row;
        HEED_FOR_VECTORS(i, n, dim, { add_products(query + i, rows + i, key_row, n, totals); });
        store(products + j, sums(totals));
    }
    for (; j < count; j++) products[j] = dot(query, keys + j * key_row, dim);
}

/** Keys and values of one head as floats, from some key on. */
struct BlockRows {
    const float* keys;
    size_t key_row;
    const float* values;
    size_t value_row;
};

/** Query i of the heads [h0, h0 + rows), which share a key head, against keys [j0, j0 + count), which are `block`. */
void step_block(const Problem& p, int b, int i, int h0, int rows, const BlockRows& block, int j0, int count, float* partial,
                int splits, int split) {
    alignas(64) float scores[kStepRows * kStepKeys];
    const Range mine_keys = p.visible_in_block(i, 1, j0, count);
    if (mine_keys.is_empty()) return;
    const int first = j0 + mine_keys.begin, n = mine_keys.end - mine_keys.begin;
    for (int r = 0; r < rows; r++) {
        const Partial mine = partial_at(p, partial, splits, b, split, i, h0 + r);
        float* row = scores + r * kStepKeys;
        const float* keys = block.keys + mine_keys.begin * block.key_row;
        dot_keys(p.q + p.query_at(b, i, h0 + r), keys, block.key_row, n, p.head_dim, row);
        scale_and_cap(p, row, n);
        add_bias_and_mask(p, b, i, h0 + r, first, row, n);
        const float before = *mine.highest, block_highest = highest_of(row, n);
        const float now = before > block_highest ? before : block_highest;
        if (now != before) {
            const float shrink = expf(before - now);
            *mine.total *= shrink;
            scale_row(mine.values, p.value_dim, shrink);
        }
        *mine.total += exp_and_sum(row, n, now);
        *mine.highest = now;
        if (p.drop_below) drop_scores(p, p.score_at(b, i, h0 + r) + first, row, n);
    }
    const size_t row_size = (size_t)p.value_dim + 2;
    block_product({scores, kStepKeys, 1}, block.values + mine_keys.begin * block.value_row, block.value_row,
                  partial_at(p, partial, splits, b, split, i, h0).values, row_size, rows, p.value_dim, n, true);
}

/** Few queries against all keys; rows_of(item, b, kv, j0, count) gives keys [j0, j0 + count) of a head to item b · splits + split. */
template <class RowsOf>
void run_step(const Problem& p, float* out, float* partial, int splits, const RowsOf& rows_of) {
    const int blocks = (p.keys + kStepKeys - 1) / kStepKeys;
    parallel_for(p.batch * splits, 1, [&](int begin, int end) {
        for (int item = begin; item < end; item++) {
            const int b = item / splits, split = item % splits;
            for (int i = 0; i < p.queries; i++) {
                for (int h = 0; h < p.heads; h++) {
                    const Partial mine = partial_at(p, partial, splits, b, split, i, h);
                    zero(mine.values, p.value_dim);
                    *mine.highest = -FLT_MAX;
                    *mine.total = 0;
                }
            }
            const int last = (int)((int64_t)blocks * (split + 1) / splits);
            for (int block = (int)((int64_t)blocks * split / splits); block < last; block++) {
                const int j0 = block * kStepKeys, count = least(kStepKeys, p.keys - j0);
                if (p.visible_in_block(0, p.queries, j0, count).is_empty()) continue;
                for (int kv = 0; kv < p.kv_heads; kv++) {
                    const BlockRows rows = rows_of(item, b, kv, j0, count);
                    for (int i = 0; i < p.queries; i++)
                        for (int g = 0; g < p.group(); g += kStepRows)
                            step_block(p, b, i, kv * p.group() + g, least(kStepRows, p.group() - g), rows, j0, count, partial,
                                       splits, split);
                }
            }
        }
    });
    parallel_for(p.batch * p.queries * p.heads, 1 + 16384 / (splits * p.value_dim + 1), [&](int begin, int end) {
        for (int item = begin; item < end; item++) {
            const int h = item % p.heads, i = item / p.heads % p.queries, b = item / p.heads / p.queries;
            float top = -FLT_MAX, total = 0;
            for (int split = 0; split < splits; split++) {
                const float mine = *partial_at(p, partial, splits, b, split, i, h).highest;
                top = mine > top ? mine : top;
            }
            float* row = out + p.out_at(b, i, h);
            zero(row, p.value_dim);
            for (int split = 0; split < splits; split++) {
                const Partial piece = partial_at(p, partial, splits, b, split, i, h);
                if (*piece.total == 0) continue;
                const float weight = expf(*piece.highest - top);
                total += *piece.total * weight;
                HEED_FOR_VECTORS(at, n, p.value_dim,
                                 { store_n(row + at, fma(load_n(piece.values + at, n), all(weight), load_n(row + at, n)), n); });
            }
            if (total != 0) scale_row(row, p.value_dim, 1.0f / total);
        }
    });
}

}  // namespace

/**
 * The same for few queries and many keys, bound by the reading of k and v: the keys are split over the threads and the
 * pieces joined. partial: batch · splits · queries · heads · (value_dim + 2) floats.
 */
void HEED_KERNEL(attention_step)(HEED_ATTENTION_PROBLEM, float* out, float* partial, int splits) {
    const Problem p = HEED_PROBLEM;
    run_step(p, out, partial, splits, [&](int, int b, int kv, int j0, int) -> BlockRows {
        return {k + p.key_at(b, j0, kv), p.k_row(), v + p.value_at(b, j0, kv), p.v_row()};
    });
}

/**
 * attention_step over packed rows, each block of which becomes floats where it is used. partial has 32 · (head_dim + value_dim)
 * floats more for each of batch · splits.
 */
void HEED_KERNEL(attention_step_packed)(HEED_ATTENTION_PROBLEM, float* out, float* partial, int splits, int packing) {
    const Problem p = HEED_PROBLEM;
    float* unpacked = partial + (size_t)batch * splits * queries * heads * (value_dim + 2);
    const auto unpack = [&](const float* from, int b, int j, int kv, int count, int dim, float* to) {
        const size_t bytes = packed_row_bytes((Packing)packing, dim);
        const uint8_t* row = (const uint8_t*)from + (((size_t)b * capacity + j) * kv_heads + kv) * bytes;
        for (int i = 0; i < count; i++) unpack_row((Packing)packing, row + i * kv_heads * bytes, to + (size_t)i * dim, dim);
    };
    run_step(p, out, partial, splits, [&](int item, int b, int kv, int j0, int count) -> BlockRows {
        float* keys_of = unpacked + (size_t)item * kStepKeys * (head_dim + value_dim);
        float* values_of = keys_of + (size_t)kStepKeys * head_dim;
        unpack(k, b, j0, kv, count, head_dim, keys_of);
        unpack(v, b, j0, kv, count, value_dim, values_of);
        return {keys_of, (size_t)head_dim, values_of, (size_t)value_dim};
    });
}

/**
 * The next position of each of `count` sequences, q, k, v and out [count, heads ...], over a cache of its own, which takes in k
 * and v. table [count, 4]: addresses of the keys and values, capacity, positions held. partial: count · heads · (value_dim + 2).
 */
void HEED_KERNEL(attention_each)(const double* table, int count, const float* q, const float* k, const float* v, float* out,
                                 float* partial, int heads, int kv_heads, int head_dim, int value_dim, int window, float scale,
                                 float softcap) {
    parallel_for(count, 1, [&](int begin, int end) {
        for (int i = begin; i < end; i++) {
            const double* row = table + i * 4;
            float *keys = reinterpret_cast<float*>((uintptr_t)row[0]), *values = reinterpret_cast<float*>((uintptr_t)row[1]);
            const int capacity = (int)row[2], length = (int)row[3];
            const size_t key_size = (size_t)kv_heads * head_dim, value_size = (size_t)kv_heads * value_dim;
            memcpy(keys + length * key_size, k + i * key_size, key_size * sizeof(float));
            memcpy(values + length * value_size, v + i * value_size, value_size * sizeof(float));
            HEED_KERNEL(attention_step)(q + (size_t)i * heads * head_dim, keys, values, nullptr, nullptr, 1, 1, length + 1, capacity,
                                        heads, kv_heads, head_dim, value_dim, 1, window, scale, softcap, 0, 0, 0, 0, 1, 0,
                                        out + (size_t)i * heads * value_dim, partial + (size_t)i * heads * (value_dim + 2), 1);
        }
    });
}

namespace {

/** What one piece of work of the gradient adds to. Those that are null are not wanted. */
struct Gradients {
    float *dq, *dk, *dv, *dbias;
};

struct Saved {
    const float *out, *lse, *delta, *dout;
};

/**
 * One row of a block, in place: from dot products q k to the weights (s) and from dout v to the gradient of the scores
 * (g): P = e^(score - lse), dscore = P · (dP - delta), both with the dropout mask where there is one.
 */
void score_gradient(const Problem& p, const Saved& saved, int b, int i, int h, int j, float* s, float* g, int count, float* dbias) {
    float slope[kKeyBlock];  // of the capped score, divided by the scale
    scale_and_cap(p, s, count);
    if (p.softcap > 0) {
        const Vec per_cap = all(1.0f / p.softcap);
        HEED_FOR_VECTORS(at, n, count, {
            const Vec t = load_n(s + at, n) * per_cap;
            store_n(slope + at, all(1.0f) - t * t, n);
        });
    }
    add_bias_and_mask(p, b, i, h, j, s, count);
    const size_t row = p.row_at(b, i, h);
    exp_and_sum(s, count, saved.lse[row]);
    const Vec delta = all(saved.delta[row]);
    if (p.drop_below) {
        float mask[kKeyBlock];
        for (int at = 0; at < count; at++) mask[at] = 1;
        drop_scores(p, p.score_at(b, i, h) + j, mask, count);
        HEED_FOR_VECTORS(at, n, count, {
            const Vec kept = load_n(mask + at, n);
            const Vec weight = load_n(s + at, n);
            store_n(g + at, weight * (load_n(g + at, n) * kept - delta), n);
            store_n(s + at, weight * kept, n);
        });
    } else {
        HEED_FOR_VECTORS(at, n, count, { store_n(g + at, load_n(s + at, n) * (load_n(g + at, n) - delta), n); });
    }
    if (dbias) memcpy(dbias + p.score_at(b, i, h) + j, g, sizeof(float) * (size_t)count);
    if (p.softcap > 0) {
        HEED_FOR_VECTORS(at, n, count, { store_n(g + at, load_n(g + at, n) * load_n(slope + at, n) * all(p.scale), n); });
    } else {
        scale_row(g, count, p.scale);
    }
}

/** The queries [i0, i0 + rows) of head h against the keys [j0, j0 + count) of head kv: adds to all gradients. */
void attend_gradient(const Problem& p, const Saved& saved, const float* keys_t, const float* values_t, int b, int h, int i0,
                     int rows, int j0, int count, const Gradients& to) {
    alignas(64) float weights[kQueryBlock * kKeyBlock];
    alignas(64) float slopes[kQueryBlock * kKeyBlock];
    const int kv = h / p.group(), padded = p.padded_keys();
    const Strided queries = {p.q + p.query_at(b, i0, h), p.q_row(), 1};
    const Strided douts = {saved.dout + p.out_at(b, i0, h), p.out_row(), 1};
    for (int r0 = 0; r0 < rows; r0 += kBlockRows) {
        const int tile_rows = least(kBlockRows, rows - r0);
        Range tile = p.visible_in_block(i0 + r0, tile_rows, j0, count);
        if (tile.is_empty()) continue;
        tile.begin = tile.begin / Vec::kLanes * Vec::kLanes;
        const int cols = round_up(tile.end, Vec::kLanes) - tile.begin;
        float* s = weights + r0 * kKeyBlock;
        float* g = slopes + r0 * kKeyBlock;
        block_product({queries.data + r0 * queries.row, queries.row, 1}, keys_t + j0 + tile.begin, padded, s + tile.begin,
                      kKeyBlock, tile_rows, cols, p.head_dim, false);
        block_product({douts.data + r0 * douts.row, douts.row, 1}, values_t + j0 + tile.begin, padded, g + tile.begin,
                      kKeyBlock, tile_rows, cols, p.value_dim, false);
        for (int r = r0; r < r0 + tile_rows; r++) {
            const Range mine = p.visible_in_block(i0 + r, 1, j0, count);
            const int begin = mine.is_empty() ? count : mine.begin, end = mine.is_empty() ? count : mine.end;
            float* row_weights = weights + r * kKeyBlock;
            float* row_slopes = slopes + r * kKeyBlock;
            zero(row_weights, begin);
            zero(row_slopes, begin);
            zero(row_weights + end, count - end);
            zero(row_slopes + end, count - end);
            if (begin < end)
                score_gradient(p, saved, b, i0 + r, h, j0 + begin, row_weights + begin, row_slopes + begin, end - begin, to.dbias);
        }
        if (to.dq)
            block_product({g + tile.begin, kKeyBlock, 1}, p.k + p.key_at(b, j0 + tile.begin, kv), p.k_row(),
                          to.dq + p.query_at(b, i0 + r0, h), p.q_row(), tile_rows, p.head_dim, tile.end - tile.begin, true);
    }
    if (!to.dk) return;
    // Keys as rows: a tile of keys needs only the tiles of queries that see some of it, and these are adjacent.
    for (int c0 = 0; c0 < count; c0 += kBlockRows) {
        const int tile_keys = least(kBlockRows, count - c0);
        int first = rows, last = 0;
        for (int r0 = 0; r0 < rows; r0 += kBlockRows) {
            const int tile_rows = least(kBlockRows, rows - r0);
            const Range tile = p.visible_in_block(i0 + r0, tile_rows, j0, count);
            if (tile.is_empty() || tile.end <= c0 || tile.begin >= c0 + tile_keys) continue;
            first = least(first, r0);
            last = r0 + tile_rows;
        }
        if (first >= last) continue;
        block_product({weights + first * kKeyBlock + c0, 1, kKeyBlock}, douts.data + first * douts.row, douts.row,
                      to.dv + p.value_at(b, j0 + c0, kv), p.v_row(), tile_keys, p.value_dim, last - first, true);
        block_product({slopes + first * kKeyBlock + c0, 1, kKeyBlock}, queries.data + first * queries.row, queries.row,
                      to.dk + p.key_at(b, j0 + c0, kv), p.k_row(), tile_keys, p.head_dim, last - first, true);
    }
}

}  // namespace

/**
 * Gradients of attention from dout and what the forward pass left. dbias is that of the whole score matrix, [batch, heads,
 * queries, keys]; dq, dk and dv, or dbias, may be null. Each key head is one thread's; with few of them the keys are split
 * too, and dq is summed over the splits. workspace: keys and values transposed (batch · kv_heads · (head_dim + value_dim) ·
 * keys rounded up to 64 floats), delta (batch · heads · queries), and splits · |q| when splits > 1.
 */
void HEED_KERNEL(attention_gradient)(HEED_ATTENTION_PROBLEM, const float* out, const float* lse, const float* dout, float* dq,
                                     float* dk, float* dv, float* dbias, float* workspace, int splits) {
    const Problem p = HEED_PROBLEM;
    const int key_blocks = p.padded_keys() / kKeyBlock;
    const size_t keys_size = (size_t)head_dim * p.padded_keys(), values_size = (size_t)value_dim * p.padded_keys();
    const size_t q_size = (size_t)batch * queries * p.q_row();
    float* keys_t = workspace;
    float* values_t = keys_t + batch * kv_heads * keys_size;
    float* delta = values_t + batch * kv_heads * values_size;
    float* dq_parts = splits > 1 ? delta + (size_t)batch * heads * queries : dq;
    const Saved saved = {out, lse, delta, dout};

    parallel_for(batch * kv_heads * key_blocks, 1 + 8192 / (kKeyBlock * (head_dim + value_dim) + 1), [&](int begin, int end) {
        for (int item = begin; item < end; item++) {
            const int head = item / key_blocks, b = head / kv_heads, kv = head % kv_heads;
            transpose_head(p, k + p.key_at(b, 0, kv), p.k_row(), keys_t + head * keys_size, head_dim, item % key_blocks);
            transpose_head(p, v + p.value_at(b, 0, kv), p.v_row(), values_t + head * values_size, value_dim, item % key_blocks);
        }
    });
    parallel_for(batch * queries, 1 + 4096 / (heads * value_dim + 1), [&](int begin, int end) {
        for (int item = begin; item < end; item++) {
            const int b = item / queries, i = item % queries;
            for (int h = 0; h < heads; h++) {
                const size_t at = p.out_at(b, i, h);
                delta[p.row_at(b, i, h)] = dot(out + at, dout + at, value_dim);
                if (dbias) memset(dbias + p.score_at(b, i, h), 0, sizeof(float) * (size_t)keys);
                for (int split = 0; dq && split < splits; split++) zero(dq_parts + split * q_size + p.query_at(b, i, h), head_dim);
            }
        }
    });
    parallel_for(batch * kv_heads * splits, 1, [&](int begin, int end) {
        for (int item = begin; item < end; item++) {
            const int split = item % splits, head = item / splits, b = head / kv_heads, kv = head % kv_heads;
            const int last = (int)((int64_t)key_blocks * (split + 1) / splits);
            const Gradients to = {dq ? dq_parts + split * q_size : nullptr, dk, dv, dbias};
            for (int block = (int)((int64_t)key_blocks * split / splits); block < last; block++) {
                const int j0 = block * kKeyBlock, count = least(kKeyBlock, keys - j0);
                for (int j = j0; dk && j < j0 + count; j++) {
                    zero(dk + p.key_at(b, j, kv), head_dim);
                    zero(dv + p.value_at(b, j, kv), value_dim);
                }
                for (int h = kv * p.group(); h < (kv + 1) * p.group(); h++)
                    for (int i0 = 0; i0 < queries; i0 += kQueryBlock)
                        attend_gradient(p, saved, keys_t + head * keys_size, values_t + head * values_size, b, h, i0,
                                        least(kQueryBlock, queries - i0), j0, count, to);
            }
        }
    });
    for (int b = 0; dk && b < batch; b++) {
        memset(dk + p.key_at(b, keys, 0), 0, sizeof(float) * p.k_row() * (size_t)(capacity - keys));
        memset(dv + p.value_at(b, keys, 0), 0, sizeof(float) * p.v_row() * (size_t)(capacity - keys));
    }
    if (!dq || splits == 1) return;
    parallel_for((int)((q_size + 1023) / 1024), 4, [&](int begin, int end) {
        for (int chunk = begin; chunk < end; chunk++) {
            const size_t at = (size_t)chunk * 1024;
            const int count = (int)(q_size - at < 1024 ? q_size - at : 1024);
            HEED_FOR_VECTORS(i, n, count, {
                Vec total = load_n(dq_parts + at + i, n);
                for (int split = 1; split < splits; split++) total = total + load_n(dq_parts + split * q_size + at + i, n);
                store_n(dq + at + i, total, n);
            });
        }
    });
}
