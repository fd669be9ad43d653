// Loops over the elements of a tensor, or of many, split over the threads.
#pragma once

#include <stddef.h>

#include "simd.h"
#include "threads.h"

namespace {

// Elements handed to a thread at a time: a few microseconds of work, and within the first cache.
constexpr int kPiece = 4096;

inline int num_pieces(size_t count) { return (int)((count + kPiece - 1) / kPiece); }

/** Calls body(begin, size) over pieces that cover [0, count); several threads at once. */
template <class Body>
inline void for_pieces(size_t count, const Body& body) {
    heed::parallel_for(num_pieces(count), 2, [&](int first, int last) {
        for (int piece = first; piece < last; piece++) {
            const size_t begin = (size_t)piece * kPiece;
            body(begin, (int)(count - begin < (size_t)kPiece ? count - begin : (size_t)kPiece));
        }
    });
}

/**
 * The same over `count` tensors: calls body(tensor, begin, size, piece), where pieces are numbered through all tensors,
 * so that what is computed does not depend on which thread computes it. sizes(tensor) is the number of its elements.
 */
template <class Sizes, class Body>
inline void for_pieces_of(int count, const Sizes& sizes, const Body& body) {
    int total = 0;
    for (int tensor = 0; tensor < count; tensor++) total += num_pieces(sizes(tensor));
    heed::parallel_for(total, 2, [&](int first, int last) {
        int tensor = 0, start = 0;
        for (int piece = first; piece < last; piece++) {
            while (piece - start >= num_pieces(sizes(tensor))) start += num_pieces(sizes(tensor++));
            const size_t begin = (size_t)(piece - start) * kPiece, rest = sizes(tensor) - begin;
            body(tensor, begin, (int)(rest < (size_t)kPiece ? rest : (size_t)kPiece), piece);
        }
    });
}

}  // namespace
