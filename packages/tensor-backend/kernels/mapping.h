// Files as memory: what tensors of a file are made over, so that none of it is copied.
#pragma once

#include <stddef.h>

namespace heed {

/**
 * The first `bytes` of a file, aligned to its largest pages, or null. It shares the system's cache of the file until it is written
 * to, which the file never sees. What a file loses while it is mapped reads as all ones, which no float is.
 */
void* map_file(int file, size_t bytes);
void unmap_file(void* start, size_t bytes);

/** Gives the pages that lie wholly in [start, start + bytes) back to the system: they are read from the file again, if ever. */
void forget_pages(void* start, size_t bytes);

/** Whether the file mapped from `start` on has become shorter and something that it lost has been read; of any where it is null. */
bool has_lost(const void* start);

}  // namespace heed
