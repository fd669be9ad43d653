// Memory of tensors: blocks are kept by size class and handed out again, since a training step asks for the same sizes.
#pragma once

#include <stddef.h>

namespace heed {

/** A block of at least `bytes`, aligned to 64 bytes, its content undefined; null when memory is out. */
void* allocate(size_t bytes);
/** Gives a block back; null is ignored. */
void release(void* block);

/** Gives the blocks that are kept to be handed out again back to the system. */
void trim();

struct MemoryUse {
    size_t in_use;
    size_t cached;
};
MemoryUse memory_use();

}  // namespace heed
