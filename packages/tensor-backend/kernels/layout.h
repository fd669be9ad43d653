// Loops over the axes of arrays with strides.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace {

constexpr int kMaxAxes = 5;  // of a shape whose neighbouring axes have been joined where they could be

/** Calls body(row, at_a, at_b) for rows [begin, end) of the first four axes, with the offsets of the row in two arrays. */
template <class Body>
inline void for_rows(const int* sizes, const ptrdiff_t* a, const ptrdiff_t* b, int begin, int end, const Body& body) {
    constexpr int kOuter = kMaxAxes - 1;
    int index[kOuter];
    ptrdiff_t at_a = 0, at_b = 0;
    for (int axis = kOuter - 1, rest = begin; axis >= 0; axis--) {
        index[axis] = rest % sizes[axis];
        rest /= sizes[axis];
        at_a += index[axis] * a[axis];
        at_b += index[axis] * b[axis];
    }
    for (int row = begin; row < end; row++) {
        body(row, at_a, at_b);
        for (int axis = kOuter - 1; axis >= 0; axis--) {
            at_a += a[axis];
            at_b += b[axis];
            if (++index[axis] < sizes[axis]) break;
            at_a -= a[axis] * sizes[axis];
            at_b -= b[axis] * sizes[axis];
            index[axis] = 0;
        }
    }
}

}  // namespace
