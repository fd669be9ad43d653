// Element-wise operations on one or two arrays with broadcasting, comparisons, choice, conversion and filling. The results
// are those of tfjs's cpu backend, NaN and overflow included.
#include "activation.h"
#include "api.h"
#include "layout.h"
#include "pieces.h"

using heed::parallel_for;

namespace {

constexpr int kGrain = 16384;  // elements that pay for handing a piece to a thread

enum class Binary : int {
    kAdd, kSubtract, kMultiply, kDivide, kMaximum, kMinimum, kSquaredDifference, kPower,
    kEqual, kNotEqual, kLess, kLessEqual, kGreater, kGreaterEqual, kLogicalAnd, kLogicalOr,
};

// Sums of int32 are taken modulo 2^32, as JavaScript's in an Int32Array.
int32_t add(int32_t a, int32_t b) { return (int32_t)((uint32_t)a + (uint32_t)b); }
float add(float a, float b) { return a + b; }
int32_t subtract(int32_t a, int32_t b) { return (int32_t)((uint32_t)a - (uint32_t)b); }
float subtract(float a, float b) { return a - b; }
int32_t product(int32_t a, int32_t b) { return (int32_t)(uint32_t)(int64_t)((double)a * (double)b); }
float product(float a, float b) { return a * b; }

// NaN if either is. WebAssembly has instructions for it; there the compiler gets comparisons wrong that it takes for others.
#if defined(__wasm__)
float maximum(float a, float b) { return __builtin_wasm_max_f32(a, b); }
float minimum(float a, float b) { return __builtin_wasm_min_f32(a, b); }
#else
float maximum(float a, float b) { return a > b || a != a ? a : b; }
float minimum(float a, float b) { return a < b || a != a ? a : b; }
#endif
int32_t maximum(int32_t a, int32_t b) { return a > b ? a : b; }
int32_t minimum(int32_t a, int32_t b) { return a < b ? a : b; }

/** JavaScript's `**`: unlike C's, NaN to the power of anything but 0, and ±1 to an infinite power, are NaN. */
float power(float a, float b) {
    if (b != b || (fabsf(a) == 1.0f && isinf(b))) return NAN;
    return powf(a, b);
}

template <Binary kKind, class In, class Out>
HEED_INLINE Out combine(In a, In b) {
    if constexpr (kKind == Binary::kAdd) return add(a, b);
    if constexpr (kKind == Binary::kSubtract) return subtract(a, b);
    if constexpr (kKind == Binary::kMultiply) return product(a, b);
    if constexpr (kKind == Binary::kDivide) return a / b;
    if constexpr (kKind == Binary::kMaximum) return maximum(a, b);
    if constexpr (kKind == Binary::kMinimum) return minimum(a, b);
    if constexpr (kKind == Binary::kSquaredDifference) return product(subtract(a, b), subtract(a, b));
    if constexpr (kKind == Binary::kPower) return power(a, b);
    if constexpr (kKind == Binary::kEqual) return a == b;
    if constexpr (kKind == Binary::kNotEqual) return a != b;
    if constexpr (kKind == Binary::kLess) return a < b;
    if constexpr (kKind == Binary::kLessEqual) return a <= b;
    if constexpr (kKind == Binary::kGreater) return a > b;
    if constexpr (kKind == Binary::kGreaterEqual) return a >= b;
    if constexpr (kKind == Binary::kLogicalAnd) return a && b;
    if constexpr (kKind == Binary::kLogicalOr) return a || b;
}

/** y[i] = a[i · a_step] ∘ b[i · b_step], steps 0 or 1. */
template <Binary kKind, class In, class Out>
void combine_row(const In* a, ptrdiff_t a_step, const In* b, ptrdiff_t b_step, Out* y, int count) {
    if (a_step && b_step) {
        for (int i = 0; i < count; i++) y[i] = combine<kKind, In, Out>(a[i], b[i]);
    } else if (a_step) {
        const In right = *b;
        for (int i = 0; i < count; i++) y[i] = combine<kKind, In, Out>(a[i], right);
    } else if (b_step) {
        const In left = *a;
        for (int i = 0; i < count; i++) y[i] = combine<kKind, In, Out>(left, b[i]);
    } else {
        const Out value = combine<kKind, In, Out>(*a, *b);
        for (int i = 0; i < count; i++) y[i] = value;
    }
}

/** A pointer, so that the loops over rows are compiled once for all operations of a type. */
template <class In, class Out>
using RowFunction = void (*)(const In* a, ptrdiff_t a_step, const In* b, ptrdiff_t b_step, Out* y, int count);

struct Shape {
    int sizes[kMaxAxes];
    ptrdiff_t a[kMaxAxes];
    ptrdiff_t b[kMaxAxes];
};

template <class In, class Out>
void combine_all(RowFunction<In, Out> combine_row, const In* a, const In* b, Out* y, const Shape& shape) {
    const int cols = shape.sizes[kMaxAxes - 1];
    int rows = 1;
    for (int axis = 0; axis < kMaxAxes - 1; axis++) rows *= shape.sizes[axis];
    const ptrdiff_t a_step = shape.a[kMaxAxes - 1], b_step = shape.b[kMaxAxes - 1];
    if (rows == 1) {
        for_pieces(cols, [&](ptrdiff_t from, int n) {
            combine_row(a + from * a_step, a_step, b + from * b_step, b_step, y + from, n);
        });
        return;
    }
    parallel_for(rows, 1 + kGrain / cols, [&](int begin, int end) {
        for_rows(shape.sizes, shape.a, shape.b, begin, end, [&](int row, ptrdiff_t at_a, ptrdiff_t at_b) {
            combine_row(a + at_a, a_step, b + at_b, b_step, y + (ptrdiff_t)row * cols, cols);
        });
    });
}

template <class In>
RowFunction<In, uint8_t> comparison(Binary kind) {
    switch (kind) {
        case Binary::kEqual: return combine_row<Binary::kEqual>;
        case Binary::kNotEqual: return combine_row<Binary::kNotEqual>;
        case Binary::kLess: return combine_row<Binary::kLess>;
        case Binary::kLessEqual: return combine_row<Binary::kLessEqual>;
        case Binary::kGreater: return combine_row<Binary::kGreater>;
        case Binary::kGreaterEqual: return combine_row<Binary::kGreaterEqual>;
        case Binary::kLogicalAnd: return combine_row<Binary::kLogicalAnd>;
        default: return combine_row<Binary::kLogicalOr>;
    }
}

template <class T>
RowFunction<T, T> calculation(Binary kind) {
    if constexpr (sizeof(T) == sizeof(float) && (T)0.5f != 0) {
        if (kind == Binary::kDivide) return combine_row<Binary::kDivide>;
        if (kind == Binary::kPower) return combine_row<Binary::kPower>;
    }
    switch (kind) {
        case Binary::kAdd: return combine_row<Binary::kAdd>;
        case Binary::kSubtract: return combine_row<Binary::kSubtract>;
        case Binary::kMultiply: return combine_row<Binary::kMultiply>;
        case Binary::kMaximum: return combine_row<Binary::kMaximum>;
        case Binary::kMinimum: return combine_row<Binary::kMinimum>;
        default: return combine_row<Binary::kSquaredDifference>;
    }
}

enum class Unary : int {
    kNegate, kAbsolute, kSquare, kSquareRoot, kReciprocalSquareRoot, kReciprocal, kExp, kLog, kSigmoid, kTanh, kErf,
    kRelu, kRelu6, kLeakyRelu, kElu, kFloor, kCeil, kRound, kSine, kCosine, kLog1p, kExpm1, kStep, kSign,
};

/** exp that reaches infinity, where that of the kernels stops at e^88.37. */
HEED_INLINE Vec exp_unbounded(Vec x) {
    const Vec half = exp(x * all(0.5f));
    return select(all(88.0f) < x, half * half * select(all(88.8f) < x, all(INFINITY), all(1.0f)), exp(x));
}

template <Unary kKind>
HEED_INLINE float apply(float x, float alpha) {
    if constexpr (kKind == Unary::kNegate) return -x;
    if constexpr (kKind == Unary::kAbsolute) return fabsf(x);
    if constexpr (kKind == Unary::kSquare) return x * x;
    if constexpr (kKind == Unary::kSquareRoot) return sqrtf(x);
    if constexpr (kKind == Unary::kReciprocalSquareRoot) return 1.0f / sqrtf(x);
    if constexpr (kKind == Unary::kReciprocal) return 1.0f / x;
    if constexpr (kKind == Unary::kLog) return logf(x);
    if constexpr (kKind == Unary::kRelu) return maximum(x, 0.0f);
    if constexpr (kKind == Unary::kRelu6) return minimum(maximum(x, 0.0f), 6.0f);
    if constexpr (kKind == Unary::kLeakyRelu) return x < 0.0f ? alpha * x : x;
    if constexpr (kKind == Unary::kElu) return x >= 0.0f ? x : expm1f(x);
    if constexpr (kKind == Unary::kFloor) return floorf(x);
    if constexpr (kKind == Unary::kCeil) return ceilf(x);
    if constexpr (kKind == Unary::kRound) return nearbyintf(x);
    if constexpr (kKind == Unary::kSine) return sinf(x);
    if constexpr (kKind == Unary::kCosine) return cosf(x);
    if constexpr (kKind == Unary::kLog1p) return log1pf(x);
    if constexpr (kKind == Unary::kExpm1) return expm1f(x);
    if constexpr (kKind == Unary::kStep) return x > 0.0f ? 1.0f : x != x ? x : alpha;
    if constexpr (kKind == Unary::kSign) return x < 0.0f ? -1.0f : x > 0.0f ? 1.0f : 0.0f;
    return x;
}

template <Unary kKind>
void apply_range(const float* x, float* y, int count, float alpha) {
    if constexpr (kKind == Unary::kExp) HEED_FOR_VECTORS(i, n, count, { store_n(y + i, exp_unbounded(load_n(x + i, n)), n); });
    else if constexpr (kKind == Unary::kSigmoid) HEED_FOR_VECTORS(i, n, count, { store_n(y + i, sigmoid(load_n(x + i, n)), n); });
    else if constexpr (kKind == Unary::kTanh) HEED_FOR_VECTORS(i, n, count, { store_n(y + i, tanh(load_n(x + i, n)), n); });
    else if constexpr (kKind == Unary::kErf) HEED_FOR_VECTORS(i, n, count, { store_n(y + i, erf(load_n(x + i, n)), n); });
    else
        for (int i = 0; i < count; i++) y[i] = apply<kKind>(x[i], alpha);
}

template <Unary kKind = Unary::kSign>
void apply_kind(Unary kind, const float* x, float* y, int count, float alpha) {
    if (kind == kKind) return apply_range<kKind>(x, y, count, alpha);
    if constexpr (kKind != (Unary)0) apply_kind<(Unary)((int)kKind - 1)>(kind, x, y, count, alpha);
}

/** ToInt32 of JavaScript: truncated, modulo 2^32; 0 for NaN and infinities. */
int32_t to_int32(float x) {
    if (fabsf(x) < 2147483648.0f) return (int32_t)x;
    if (!(fabsf(x) < INFINITY)) return 0;
    return (int32_t)(uint32_t)(int64_t)fmod((double)x, 4294967296.0);
}

enum class Type : int { kFloat = 0, kInt = 1, kBool = 2 };

template <class From, class To, class Convert>
void convert_all(const void* x, void* y, int count, const Convert& convert_one) {
    for_pieces(count, [&](ptrdiff_t from, int n) {
        const From* a = static_cast<const From*>(x) + from;
        To* b = static_cast<To*>(y) + from;
        for (int i = 0; i < n; i++) b[i] = convert_one(a[i]);
    });
}

}  // namespace

/** y = a ∘ b over five axes, y contiguous; types 0 float, 1 int32, 2 bool; comparisons give bool. Strides are 0 where broadcast. */
void HEED_KERNEL(binary)(const uint8_t* a, const uint8_t* b, uint8_t* y, int kind, int type, HEED_AXES(int, size),
                         HEED_AXES(ptrdiff_t, a_stride), HEED_AXES(ptrdiff_t, b_stride)) {
    const Shape shape{HEED_AXES_OF(size), HEED_AXES_OF(a_stride), HEED_AXES_OF(b_stride)};
    const Binary operation = (Binary)kind;
    const auto *float_a = (const float*)a, *float_b = (const float*)b;
    const auto *int_a = (const int32_t*)a, *int_b = (const int32_t*)b;
    if (operation >= Binary::kEqual) {
        if (type == (int)Type::kFloat) return combine_all(comparison<float>(operation), float_a, float_b, y, shape);
        if (type == (int)Type::kInt) return combine_all(comparison<int32_t>(operation), int_a, int_b, y, shape);
        return combine_all(comparison<uint8_t>(operation), a, b, y, shape);
    }
    if (type == (int)Type::kFloat) return combine_all(calculation<float>(operation), float_a, float_b, (float*)y, shape);
    combine_all(calculation<int32_t>(operation), int_a, int_b, (int32_t*)y, shape);
}

/** y = f(x); alpha is the slope of leakyRelu below 0 and the value of step there. x may be y. */
void HEED_KERNEL(unary)(const float* x, float* y, int count, int kind, float alpha) {
    for_pieces(count, [&](ptrdiff_t from, int n) { apply_kind((Unary)kind, x + from, y + from, n, alpha); });
}

/** y = min(max(x, low), high); NaN stays NaN. */
void HEED_KERNEL(clip)(const float* x, float* y, int count, float low, float high) {
    for_pieces(count, [&](ptrdiff_t from, int n) {
        for (int i = 0; i < n; i++) y[from + i] = minimum(maximum(x[from + i], low), high);
    });
}

/** y[i] = condition[i / span] ? a[i] : b[i], elements of 4 bytes. */
void HEED_KERNEL(select)(const uint8_t* condition, const int32_t* a, const int32_t* b, int32_t* y, int count, int span) {
    for_pieces(count, [&](ptrdiff_t from, int n) {
        if (span == 1) {
            for (ptrdiff_t i = from; i < from + n; i++) y[i] = condition[i] ? a[i] : b[i];
        } else {
            for (ptrdiff_t i = from; i < from + n; i++) y[i] = condition[i / span] ? a[i] : b[i];
        }
    });
}

/** y = x in another type, as tfjs casts: 0 float, 1 int32, 2 bool. */
void HEED_KERNEL(convert)(const uint8_t* x, uint8_t* y, int count, int from, int to) {
    const auto is_true = [](auto v) { return (uint8_t)(v != 0); };
    if (from == (int)Type::kFloat && to == (int)Type::kInt) convert_all<float, int32_t>(x, y, count, to_int32);
    if (from == (int)Type::kFloat && to == (int)Type::kBool) convert_all<float, uint8_t>(x, y, count, is_true);
    if (from == (int)Type::kInt && to == (int)Type::kFloat) convert_all<int32_t, float>(x, y, count, [](int32_t v) { return (float)v; });
    if (from == (int)Type::kInt && to == (int)Type::kBool) convert_all<int32_t, uint8_t>(x, y, count, is_true);
    if (from == (int)Type::kBool && to == (int)Type::kFloat) convert_all<uint8_t, float>(x, y, count, [](uint8_t v) { return (float)v; });
    if (from == (int)Type::kBool && to == (int)Type::kInt) convert_all<uint8_t, int32_t>(x, y, count, [](uint8_t v) { return (int32_t)v; });
}

void HEED_KERNEL(fill)(float* y, int count, float value) {
    for_pieces(count, [&](ptrdiff_t from, int n) {
        for (int i = 0; i < n; i++) y[from + i] = value;
    });
}
