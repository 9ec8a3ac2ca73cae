// SPDX-License-Identifier: BSD-2-Clause
// deque_model.c - the example's model: no item is lost, none is taken twice, all are seen whole.
#include "deque.h"
#include "model.h"

#include <string.h>

enum { ITEMS = 4 };

struct item {
    int number; // plain: written before the push, read by who takes it
    int taken;  // by the only one who may
};

static struct deque deque;
static struct item items[ITEMS];

static void use(struct item *item)
{
    if (!item)
        return;
    model_assert(item->number == 10 + (int)(item - items));
    model_assert(item->taken == 0);
    item->taken = 1;
}

static void push(int i)
{
    items[i].number = 10 + i;
    if (!deque_push(&deque, &items[i]))
        items[i].taken = 1;
}

// Fills the ring beyond its size, so that slots are used again.
static void owner(void *unused)
{
    (void)unused;
    push(0);
    push(1);
    use(deque_take(&deque));
    push(2);
    push(3);
    for (struct item *item; (item = deque_take(&deque));)
        use(item);
}

static void owner_of_one(void *unused)
{
    (void)unused;
    push(0);
    use(deque_take(&deque));
    push(1);
    use(deque_take(&deque));
}

static void thief(void *unused)
{
    (void)unused;
    use(deque_steal(&deque));
    use(deque_steal(&deque));
}

static void reset(void)
{
    deque_init(&deque);
    memset(items, 0, sizeof items);
    model_name(&deque.top, "top");
    model_name(&deque.bottom, "bottom");
    model_name(&deque.slots, "slots");
    model_name(&items, "items");
}

static void one_thief(void)
{
    reset();
    model_thread("owner", owner, NULL);
    model_thread("thief", thief, NULL);
}

static void two_thieves(void)
{
    reset();
    model_thread("owner", owner_of_one, NULL);
    model_thread("thief 1", thief, NULL);
    model_thread("thief 2", thief, NULL);
}

static void all_taken(void)
{
    int stolen_or_taken = 0;
    for (int i = 0; i < ITEMS; i++)
        stolen_or_taken += items[i].taken;
    for (int i = 0; i < ITEMS; i++)
        model_assert(items[i].taken || items[i].number == 0);
    model_seen(stolen_or_taken);
}

MODEL(one_thief, one_thief, all_taken, .must_see = 1 << 4, .executions = 3000000);
MODEL(two_thieves, two_thieves, all_taken, .bound = 2, .must_see = 1 << 2);
