// SPDX-License-Identifier: BSD-2-Clause
// deque.h - a bounded Chase-Lev deque, as an example of something to check.
//
// Owns:    a ring of pointers; the owner works at the bottom, thieves at the top.
// Callers: push and take, the owner only; steal, anybody.
// Design:  Lê, Pop, Cohen, Zappa Nardelli: Correct and efficient work-stealing for weak memory
//          models, PPoPP 2013.
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#ifndef DEQUE_SIZE
#define DEQUE_SIZE 256
#endif

struct deque {
    _Atomic long top;    // next to steal; moved by compare-exchange, by thieves and the owner
    _Atomic long bottom; // next free; written by the owner only
    _Atomic(void *) slots[DEQUE_SIZE];
};

void deque_init(struct deque *d);
bool deque_push(struct deque *d, void *item); // false: full
void *deque_take(struct deque *d);            // NULL: empty
void *deque_steal(struct deque *d);           // NULL: empty, or another one was faster
