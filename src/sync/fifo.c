// SPDX-License-Identifier: BSD-2-Clause
// fifo.c - a queue of elements (see fifo.h).
#include "sync/fifo.h"

#include <errno.h>
#include <stdint.h>

#include "os/os.h"

enum { SEGMENT_ELEMENTS = 64 };

struct oai_segment {
    oai_segment_t *next;
    _Alignas(16) char elements[];
};

static bool unbounded(const oai_fifo_t *fifo)
{
    return fifo->capacity == SIZE_MAX;
}

int oai_fifo_init(oai_fifo_t *fifo, size_t elem_size, size_t capacity)
{
    *fifo = (oai_fifo_t){.elem_size = elem_size, .capacity = capacity};
    size_t count = unbounded(fifo) ? SEGMENT_ELEMENTS : capacity;
    size_t bytes;
    if (__builtin_mul_overflow(elem_size, count, &bytes) || bytes > PTRDIFF_MAX / 2)
        return -EINVAL;
    if (unbounded(fifo) || bytes == 0)
        return 0;
    char *ring = oai_os.alloc(bytes);
    if (!ring)
        return -ENOMEM;
    fifo->ring.begin = fifo->ring.in = fifo->ring.out = ring;
    fifo->ring.end = ring + bytes;
    return 0;
}

void oai_fifo_destroy(oai_fifo_t *fifo)
{
    if (!unbounded(fifo)) {
        oai_os.free(fifo->ring.begin);
        return;
    }
    oai_os.free(fifo->chain.spare);
    for (oai_segment_t *segment = fifo->chain.head, *next; segment; segment = next) {
        next = segment->next;
        oai_os.free(segment);
    }
}

// The place behind the last element, in a segment made for it if need be; NULL: no memory.
static char *grow(oai_fifo_t *fifo)
{
    if (!fifo->chain.tail || fifo->chain.tail_used == SEGMENT_ELEMENTS) {
        oai_segment_t *segment = fifo->chain.spare;
        fifo->chain.spare = NULL;
        if (!segment)
            segment = oai_os.alloc(sizeof *segment + fifo->elem_size * SEGMENT_ELEMENTS);
        if (!segment)
            return NULL;
        segment->next = NULL;
        if (fifo->chain.tail)
            fifo->chain.tail->next = segment;
        else
            fifo->chain.head = segment;
        fifo->chain.tail = segment;
        fifo->chain.tail_used = 0;
    }
    return fifo->chain.tail->elements + fifo->chain.tail_used++ * fifo->elem_size;
}

int oai_fifo_push_other(oai_fifo_t *fifo, const void *elem)
{
    if (fifo->elem_size != 0) {
        char *place = grow(fifo);
        if (!place)
            return -ENOMEM;
        oai_fifo_copy(place, elem, fifo->elem_size);
    }
    fifo->count++;
    return 0;
}

// The first segment has been emptied: it is kept for the next, or freed.
static void shrink(oai_fifo_t *fifo)
{
    oai_segment_t *segment = fifo->chain.head;
    fifo->chain.head = segment->next;
    if (!fifo->chain.head)
        fifo->chain.tail = NULL;
    if (fifo->chain.spare)
        oai_os.free(segment);
    else
        fifo->chain.spare = segment;
    fifo->chain.first = 0;
}

void oai_fifo_pop_other(oai_fifo_t *fifo, void *elem)
{
    fifo->count--;
    if (fifo->elem_size == 0)
        return;
    if (elem)
        oai_fifo_copy(elem, fifo->chain.head->elements + fifo->chain.first * fifo->elem_size,
                      fifo->elem_size);
    fifo->chain.first++;
    if (fifo->chain.first == SEGMENT_ELEMENTS || fifo->count == 0)
        shrink(fifo);
}

// Moves the oldest elements of a ring, so many bytes, none of which stand behind its seam.
static void move_run(oai_fifo_t *fifo, char *to, size_t bytes)
{
    memcpy(to, fifo->ring.out, bytes);
    fifo->ring.out += bytes;
    if (fifo->ring.out == fifo->ring.end)
        fifo->ring.out = fifo->ring.begin;
}

size_t oai_fifo_pop_some(oai_fifo_t *fifo, char *to, size_t most)
{
    size_t count = fifo->count < most ? fifo->count : most;
    if (count == 0) // a rendezvous has no ring
        return 0;
    if (oai_fifo_ring(fifo)) {
        size_t bytes = count * fifo->elem_size;
        size_t run = (size_t)(fifo->ring.end - fifo->ring.out);
        run = bytes < run ? bytes : run;
        move_run(fifo, to, run);
        if (bytes > run)
            move_run(fifo, to + run, bytes - run);
        fifo->count -= count;
    } else {
        for (size_t i = 0; i < count; i++)
            oai_fifo_pop_other(fifo, to + i * fifo->elem_size);
    }
    return count;
}
