// SPDX-License-Identifier: BSD-2-Clause
// worker.c - the loop that runs tasks, and what a task does to leave it.
//
// The loop stands on a stack of its own from the worker's cache. A fresh task is called there as a
// plain function. If it waits, the stack is the task's from then on, with the loop's frame at its
// base, and the worker goes on in a fresh loop on another cached stack, or, if the next task has a
// stack, there. When a task with a stack is resumed, the loop that resumes it drops its own stack
// into the cache and jumps. When the task's function returns, it returns into the loop at the base
// of its stack, which is from then on the loop of whatever worker that is.
//
// Who leaves a stack cannot be queued before its registers are stored: that is done by whoever
// comes next, in settle(), on the stack to which the worker has gone on.
//
// In a build with own stacks (TSan, and where the inline switch is not proven) each task has its
// own stack from its beginning and the loop stays where it is, on the thread's own stack.
#include "sched/hot.h"
#include "sched/internal.h"
#include "sched/sched.h"

static void count(_Atomic uint64_t *counter)
{
    // One writer: no read-modify-write is needed.
    uint64_t value = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, value + 1, memory_order_relaxed);
}

// ---- Its own queue ------------------------------------------------------------------------------

// The next task of the worker's own queue, or NULL. The task that was just woken comes first, so
// many times in a row at most.
static inline oai_task_t *pop(oai_worker_t *worker)
{
    oai_task_t *task = oai_runq_take_next(&worker->queue);
    if (task) {
        if (OAI_LIKELY(++worker->streak <= OAI_NEXT_STREAK))
            return task;
        oai_worker_push_last(worker, task);
    }
    worker->streak = 0;
    return oai_runq_pop(&worker->queue);
}

// ---- Looking around ---------------------------------------------------------------------------

static int64_t next_expiry(void *context)
{
    oa_coord_t *coord = context;
    int64_t next = INT64_MAX;
    for (int i = 0; i < coord->workers; i++) {
        // Seq_cst: the sentry's look of the pair told in idle.c.
        int64_t expiry = atomic_load_explicit(&coord->shards[i].next, memory_order_seq_cst);
        if (expiry < next)
            next = expiry;
    }
    return next;
}

static void fire(oai_worker_t *worker, const oai_fired_t *fired)
{
    if (fired->fresh) {
        oai_worker_push_last(worker, fired->task);
        oai_idle_published(&worker->coord->idle);
    } else if (!fired->task) {
        oai_pool_retry(worker->coord);
    } else {
        oai_wait_break(fired->task, fired->word, -ETIMEDOUT);
    }
}

bool oai_worker_expire(oai_worker_t *worker)
{
    enum { AT_ONCE = 16 }; // few: a parked task shall not have touched a second page of stack
    oa_coord_t *coord = worker->coord;
    int64_t next = next_expiry(coord);
    if (next == INT64_MAX)
        return false;
    int64_t now = oai_coord_now(coord);
    if (next > now)
        return false;
    oai_fired_t fired[AT_ONCE];
    bool any = false;
    for (int i = 0; i < coord->workers; i++) {
        oai_timers_t *shard = &coord->shards[(worker->id + i) % coord->workers];
        size_t found = oai_timers_expire(shard, now, fired, AT_ONCE);
        for (size_t k = 0; k < found; k++)
            fire(worker, &fired[k]);
        any = any || found != 0;
    }
    return any;
}

// Takes a fair share of what came from outside into the worker's own queue.
static bool take_injected(oai_worker_t *worker)
{
    oa_coord_t *coord = worker->coord;
    size_t share = oai_inject_length(&coord->inject) / (size_t)coord->workers + 1;
    if (share > OAI_BLOCK_SIZE)
        share = OAI_BLOCK_SIZE;
    oai_task_t *task = oai_inject_take(&coord->inject, share);
    bool any = task != NULL;
    while (task) {
        oai_task_t *next = task->next;
        oai_worker_push_last(worker, task);
        task = next;
    }
    if (any)
        oai_idle_published(&coord->idle);
    return any;
}

// A simulation looks around before every dispatch, and chooses among all that is ready.
static oai_task_t *simulate(oai_worker_t *worker)
{
    oa_coord_t *coord = worker->coord;
    worker->tick = 1;
    oai_worker_expire(worker);
    take_injected(worker);
    while (oai_sim_has_room(coord->sim)) {
        oai_task_t *task = oai_runq_pop_oldest(&worker->queue, false);
        if (!task && !(task = oai_runq_take_next(&worker->queue)) &&
            !(task = oai_runq_pop(&worker->queue)))
            break;
        oai_sim_add(coord->sim, task);
    }
    return oai_sim_choose(coord);
}

// Every so many dispatches: what waits outside of the own ring has its turn. Returns the oldest
// task of all that waits in blocks, or NULL.
static __attribute__((noinline)) oai_task_t *look_around(oai_worker_t *worker)
{
    if (OAI_UNLIKELY(oai_sim_of(worker->coord) != NULL))
        return simulate(worker);
    worker->tick = OAI_TICK;
    oai_worker_expire(worker);
    int64_t next = next_expiry(worker->coord);
    if (next != INT64_MAX) // this worker may be busy for long: somebody must wake for the timers
        oai_idle_sooner(&worker->coord->idle, next);
    take_injected(worker);
    // Seldom, unless somebody has yielded: each time may open another subtree of a tree of tasks
    // near its root, whose stacks then wait. Skynet held 13,400 stacks with every look, and holds
    // 4,400 with one in four.
    return oai_runq_pop_oldest(&worker->queue, ++worker->looks % OAI_LOOKS_AN_OLDEST != 0);
}

static inline oai_task_t *next_task(oai_worker_t *worker)
{
    oai_task_t *task = NULL;
    if (OAI_UNLIKELY(--worker->tick <= 0))
        task = look_around(worker);
    if (!task)
        task = pop(worker);
    return task;
}

// ---- Stealing -----------------------------------------------------------------------------------

enum {
    WORTH_WAITING = 10000, // ns that a task would have to wait for its own worker
    WORTH_MOVING = 150,    // ns a dispatch: less than another core takes to get at a task
    FILLING = 100000,      // ns that a queue is left to an owner who only fills it
    RETURNING = 40000,     // ns that tasks are left which wait for what goes on where they are
    DEAR = 1000,           // ns a dispatch: worth moving, wherever the two cores are
    SEARCH_TIME = 25000,   // ns that a searcher looks for work
    SEARCH_PAUSES = 32,    // between two looks
    FIRST_DOZE = 100000,   // ns
    LAST_DOZE = 1000000,
};

// What a look at the others, or at one of them, has shown.
typedef enum sight {
    NOTHING,
    LEFT,    // work that is left to its owner
    UNKNOWN, // the same, until it is known how long it takes
    TO_TAKE,
} sight_t;

// While nothing has been dispatched: how long that is so. An owner who fills his queue is about to
// begin with it, so he is left alone for longer, unless what was last taken was `dear`, or he has
// dispatched nothing since it was taken from him: he will not. For longer, too, where what was last
// taken has `returned`.
static sight_t look_at_filling(const oai_worker_t *worker, const oai_watch_t *watch, size_t length,
                               int64_t time)
{
    bool fills = length > watch->length && !worker->dear && watch->dispatches != watch->robbed;
    int64_t patience = WORTH_WAITING;
    if (fills)
        patience = FILLING;
    else if (worker->returned)
        patience = RETURNING;
    if (time > patience)
        return TO_TAKE;
    return patience > WORTH_WAITING ? UNKNOWN : LEFT;
}

// Whether the last task of a queue would wait long for its own worker: the length of the queue,
// times how long a dispatch has taken since the last look. Twice in a row, for the first time may
// be mostly that in which the queue was filled. Tasks that take next to nothing are done sooner
// where they are, however many wait. The measurements stand in HACKING.md.
static sight_t look_at(const oai_worker_t *worker, const oai_worker_t *victim, int64_t now)
{
    oai_watch_t *watch = &worker->watch[victim->id];
    size_t length = oai_runq_length(&victim->queue);
    // Relaxed: an estimate.
    uint64_t dispatches = atomic_load_explicit(&victim->dispatches, memory_order_relaxed);
    int64_t time = now - watch->since;
    uint64_t done = dispatches - watch->dispatches;
    bool first = length == 0 || watch->since == 0;
    if (!first && done == 0)
        return look_at_filling(worker, watch, length, time);
    double dispatch = first ? 0 : (double)time / (double)done;
    bool slow = dispatch > WORTH_MOVING && dispatch * (double)length > WORTH_WAITING;
    if (slow && watch->slow)
        return TO_TAKE;
    watch->dispatches = dispatches;
    watch->since = length ? now : 0;
    watch->length = length;
    watch->slow = slow;
    return slow ? UNKNOWN : length ? LEFT : NOTHING;
}

// What it has run since it last stole: whether it took long, and whether it was several that each
// waited again in less than one is worth moving for. Those want what is held where they were, and
// with each theft what they fight for moves, too.
static void judge_theft(oai_worker_t *worker, int64_t now)
{
    // Relaxed: its own counters.
    uint64_t dispatches = atomic_load_explicit(&worker->dispatches, memory_order_relaxed);
    uint64_t parks = atomic_load_explicit(&worker->parks, memory_order_relaxed);
    uint64_t done = dispatches - worker->stolen_at;
    if (worker->stole != 0 && done != 0) {
        int64_t each = (now - worker->stole) / (int64_t)done;
        worker->dear = each > DEAR;
        worker->returned = done > 1 && parks - worker->parked_at == done && each < WORTH_WAITING;
    }
    worker->stole = 0;
}

// One look at the others. *saw: what is left to them.
static oai_task_t *steal_round(oai_worker_t *worker, sight_t *saw)
{
    oa_coord_t *coord = worker->coord;
    int64_t now = oai_os.now();
    int first = (int)oai_random_below(&worker->random, (uint32_t)coord->workers);
    for (int i = 0; i < coord->workers; i++) {
        oai_worker_t *victim = &coord->worker[(first + i) % coord->workers];
        oai_watch_t *watch = &worker->watch[victim->id];
        if (victim == worker)
            continue;
        sight_t sight = look_at(worker, victim, now);
        if (sight != TO_TAKE) {
            *saw = sight > *saw ? sight : *saw;
            continue;
        }
        watch->since = 0;
        watch->robbed = watch->dispatches;
        oai_task_t *task = oai_runq_steal(&victim->queue, &worker->queue);
        if (!task)
            task = oai_runq_take_next(&victim->queue);
        if (task) {
            count(&worker->steals);
            // Relaxed: its own counters.
            worker->stolen_at = atomic_load_explicit(&worker->dispatches, memory_order_relaxed);
            worker->parked_at = atomic_load_explicit(&worker->parks, memory_order_relaxed);
            worker->stole = now;
            return task;
        }
    }
    return NULL;
}

// Looks for work everywhere for a while. *saw as above.
static oai_task_t *search(oai_worker_t *worker, sight_t *saw)
{
    int64_t now = oai_os.now(), end = now + SEARCH_TIME, last = now + FILLING;
    judge_theft(worker, now);
    for (int i = 0; i < worker->coord->workers; i++)
        worker->watch[i].since = 0;
    do {
        *saw = NOTHING;
        oai_task_t *task = steal_round(worker, saw);
        if (!task && (take_injected(worker) || oai_worker_expire(worker)))
            task = pop(worker);
        if (task)
            return task;
        for (int i = 0; i < SEARCH_PAUSES; i++)
            oai_pause();
        now = oai_os.now();
        if (*saw == UNKNOWN && now < last)
            end = now + SEARCH_TIME;
    } while (now < end);
    return NULL;
}

// ---- Going to sleep -----------------------------------------------------------------------------

// Whether work waits anywhere; `own`: only where nobody else would come to it.
static bool work_waits(oai_worker_t *worker, bool own)
{
    oa_coord_t *coord = worker->coord;
    if (oai_inject_length(&coord->inject) != 0 || next_expiry(coord) <= oai_coord_now(coord))
        return true;
    for (int i = 0; !own && i < coord->workers; i++)
        if (oai_runq_length(&coord->worker[i].queue) != 0)
            return true;
    // Acquire: pairs with the release in oai_coord_try_end().
    return atomic_load_explicit(&coord->ended, memory_order_acquire);
}

// Gives memory back, as long as nothing is to be done. True: something is.
static bool trim(oai_worker_t *worker)
{
    enum { KEEP_TASKS = 256, KEEP_STACKS = 64 };
    oa_coord_t *coord = worker->coord;
    oai_task_cache_shrink(&worker->tasks, KEEP_TASKS);
    while (oai_stack_pool_trim(&coord->stacks, KEEP_STACKS) || oai_task_pool_trim(&coord->tasks))
        if (work_waits(worker, false))
            return true;
    return false;
}

// How long to doze; 0: sleep until woken. Who has left work to its owner must look again soon; who
// has found none looks a few times more, each after a longer while, before it relies on being
// woken. A simulation's always looks again: a thread for which it waits may end without a word.
static int64_t next_doze(oai_worker_t *worker, sight_t saw)
{
    if (OAI_UNLIKELY(oai_sim_of(worker->coord) != NULL))
        return LAST_DOZE;
    int64_t doze = worker->doze ? worker->doze * 2 : FIRST_DOZE;
    if (worker->coord->workers == 1 || (saw == NOTHING && worker->doze >= LAST_DOZE))
        doze = 0;
    else if (doze > LAST_DOZE)
        doze = LAST_DOZE;
    return doze;
}

static void sleep_idle(oai_worker_t *worker, int64_t doze)
{
    oai_idle_t *idle = &worker->coord->idle;
    worker->doze = doze;
    worker->stole = 0; // if it did not come to a search, it is not known
    oai_idle_announce(idle, &worker->sleeper, doze != 0);
    if (work_waits(worker, doze != 0)) {
        oai_idle_stay(idle, &worker->sleeper);
        return;
    }
    int64_t until = doze ? oai_os.now() + doze : INT64_MAX;
    oai_idle_sleep(idle, &worker->sleeper, until, next_expiry, worker->coord);
}

// A task was found, or none will ever be: if this worker was searching it is no more.
static oai_task_t *found(oai_worker_t *worker, oai_task_t *task)
{
    worker->doze = 0;
    if (worker->sleeper.searching)
        oai_idle_found(&worker->coord->idle, &worker->sleeper);
    return task;
}

oai_task_t *oai_worker_find(oai_worker_t *worker)
{
    for (;;) {
        sight_t saw = NOTHING;
        oai_task_t *task = look_around(worker);
        if (!task)
            task = pop(worker);
        if (!task && worker->coord->workers > 1 &&
            oai_idle_search(&worker->coord->idle, &worker->sleeper))
            task = search(worker, &saw);
        if (task || oai_coord_try_end(worker->coord))
            return found(worker, task);
        if (OAI_UNLIKELY(oai_sim_of(worker->coord) != NULL) &&
            oai_sim_idle(worker->coord, next_expiry(worker->coord)))
            continue;
        int64_t doze = next_doze(worker, saw);
        if (doze == 0 && trim(worker))
            continue;
        sleep_idle(worker, doze);
    }
}

// ---- Leaving and coming back --------------------------------------------------------------------

static __attribute__((noinline)) void put_behind_slow(oai_worker_t *worker, oai_task_t *task)
{
    if (!oai_runq_push_behind(&worker->queue, task))
        oai_worker_push_last(worker, task);
    oai_idle_published(&worker->coord->idle);
}

// A task that yields goes behind all others.
static inline void put_behind(oai_worker_t *worker, oai_task_t *task)
{
    if (OAI_UNLIKELY(oai_runq_any_block(&worker->queue) || oai_runq_full(&worker->queue))) {
        put_behind_slow(worker, task);
        return;
    }
    oai_runq_put(&worker->queue, task);
    oai_idle_published(&worker->coord->idle);
}

// On the stack to which the worker has gone on: what the one who left before needs.
static inline void settle(void)
{
    oai_worker_t *worker = oai_self();
    oai_task_t *left = worker->left;
    if (!left)
        return;
    OAI_ASSERT(left->stack && left != worker->current);
    worker->left = NULL;
    if (OAI_UNLIKELY(!oai_fpctl_is_default(worker->left_fp)))
        oai_fpctl_default();
    if (worker->left_why == OAI_LEAVE_PARK)
        oai_wait_saved(left);
    else
        put_behind(worker, left);
}

// The log is the user's code, which the task's mode is not for.
static __attribute__((noinline)) void tell_overrun(oai_task_t *task)
{
    oai_fpctl_t fp;
    bool changed = oai_fpctl_changed(&fp);
    if (changed)
        oai_fpctl_default();
    oai_log(oai_task_coord(task), OA_LOG_ERROR, "task %s: its stack was overrun", task->where);
    if (changed)
        oai_fpctl_set(&fp);
}

// What the task may have done to the thread or the stack, before the loop goes on there.
static inline void check_end(oai_task_t *task, oai_stack_t *stack)
{
    oai_fpctl_restore();
    if (OAI_UNLIKELY(!oai_stack_canary_ok(stack))) {
        tell_overrun(task);
        oai_stack_canary_renew(stack); // the next task here is not to blame
    }
}

// Whether a fresh task is cancelled.
static inline bool is_cancelled(oai_worker_t *worker, uint32_t flags)
{
    return (flags & OAI_TASK_CANCELLED) || oai_coord_refuses(worker->coord);
}

static inline unsigned stack_class(oai_worker_t *worker, uint32_t flags)
{
    uint32_t cls = flags & OAI_TASK_CLASS_MASK;
    if (OAI_LIKELY(cls == 0))
        return worker->coord->stack_class;
    return (cls >> OAI_TASK_CLASS_SHIFT) - 1;
}

// No memory for the stack of a fresh task: it waits for its turn again.
static void no_stack(oai_worker_t *worker, oai_task_t *task)
{
    enum { A_WHILE = 100000 }; // ns
    worker->current = NULL;
    oai_log(worker->coord, OA_LOG_WARN, "task %s: no memory for its stack yet", task->where);
    oai_worker_push_last(worker, task);
    oai_idle_published(&worker->coord->idle);
    oai_os.sleep(A_WHILE);
}

// A hindered task: whether it may begin all the same, now that it has passed its gates. If not it
// is held at one, or another thread has to run it, or it is gone.
static __attribute__((noinline)) bool unhinder(oai_worker_t *worker, oai_task_t *task,
                                               uint32_t flags)
{
    worker->current = NULL;
    bool cancelled = is_cancelled(worker, flags);
    int err = cancelled ? -ECANCELED : 0;
    if (flags & OAI_TASK_HELD)
        err = oai_gates_pass(task, cancelled);
    if (err == 0 && flags & OAI_TASK_HOSTED) {
        oai_pool_host(worker->coord, task);
    } else if (err == 0) {
        worker->current = task;
    } else if (err != -EINPROGRESS) {
        oai_task_discard(task, worker);
        oai_fpctl_restore(); // its drop has run
    }
    return worker->current != NULL;
}

// Whether a fresh task may begin, which is the current one then.
static inline bool may_begin(oai_worker_t *worker, oai_task_t *task, uint32_t flags)
{
    return OAI_LIKELY(!(flags & (OAI_TASK_HELD | OAI_TASK_HOSTED)) &&
                      !is_cancelled(worker, flags)) ||
           unhinder(worker, task, flags);
}

static inline uint32_t flags_of(oai_task_t *task)
{
    // Relaxed: the queue has published what is constant, and who cancels later is too late.
    return atomic_load_explicit(&task->flags, memory_order_relaxed);
}

#if OAI_OWN_STACKS

// The first code of a task on its own stack.
static _Noreturn void begin(void *arg)
{
    oa_fn *fn = (oa_fn *)(uintptr_t)arg;
    oai_task_t *task = oai_self()->current;
    oai_sync_acquire(task);
    fn(task->arg);
    if (oai_own_any(task))
        oai_own_end(task);
    oai_worker_t *worker = oai_self();
    check_end(task, task->stack);
    worker->dead = task->stack;
    worker->dead_context = task->context;
    worker->current = NULL;
    worker->left = NULL;
    oai_task_end(task, worker);
    oai_jump(&worker->native);
}

static void dispatch(oai_worker_t *worker, oai_task_t *task)
{
    uint32_t flags = flags_of(task);
    if (!task->stack && !may_begin(worker, task, flags))
        return;
    count(&worker->dispatches);
    worker->current = task;
    if (task->stack) {
        oai_switch(&worker->native, &task->context);
    } else {
        oai_stack_t *stack = oai_stack_get(&worker->stacks, stack_class(worker, flags));
        if (!stack) {
            no_stack(worker, task);
            return;
        }
        oa_fn *fn = task->fresh.fn;
        task->stack = stack;
        task->context = (oai_context_t){0};
        oai_fiber_created(&task->context);
        oai_switch_enter(&worker->native, &task->context, stack, begin, (void *)(uintptr_t)fn);
    }
    worker->current = NULL;
    settle();
    if (worker->dead) {
        oai_fiber_destroyed(&worker->dead_context);
        oai_stack_put(&worker->stacks, worker->dead);
        worker->dead = NULL;
    }
}

void oai_worker_run(oai_worker_t *worker)
{
    oai_context_thread(&worker->native);
    for (;;) {
        oai_task_t *task = next_task(worker);
        if (!task && !(task = oai_worker_find(worker)))
            return;
        dispatch(worker, task);
    }
}

// The loop takes the next task itself.
static oai_task_t *take_along(oai_worker_t *worker, bool *alone)
{
    *alone = oai_runq_length(&worker->queue) == 0;
    return NULL;
}

// Leaves for the loop; returns when the task is resumed.
static void leave_for(oai_worker_t *worker, oai_task_t *task, oai_task_t *next)
{
    (void)next;
    oai_switch(&task->context, &worker->native);
}

#else

static _Noreturn void loop(void *arg);

// The task wants a stack of another size than the loop's: a fresh loop on such a one runs it first.
// The default one stays in the cache. So a task that goes on finds one there: the loop has put its
// own back, or stood on another class; or who left for it had one and did not use it. What waits
// for the second time relies on that (cond.c).
static __attribute__((noinline)) void change_stack(oai_worker_t *worker, oai_task_t *task)
{
    oai_stack_t *stack = oai_stack_get(&worker->stacks, stack_class(worker, flags_of(task)));
    if (!stack) {
        no_stack(worker, task);
        return;
    }
    oai_stack_put(&worker->stacks, worker->stack);
    worker->stack = stack;
    worker->pending = task;
    oai_enter(NULL, stack, loop, NULL);
}

// The current task's function has returned, perhaps on another worker than it has begun on.
static inline void end_task(void)
{
    oai_worker_t *worker = oai_self();
    oai_task_t *task = worker->current;
    // What it owns goes while it is the task still, which may wait.
    if (OAI_UNLIKELY(oai_own_any(task))) {
        oai_own_end(task);
        worker = oai_self();
    }
    check_end(task, worker->stack);
    worker->current = NULL;
    uint32_t more = flags_of(task) & OAI_TASK_MORE_AT_END;
    if (more == 0)
        oai_task_end_bare(task, worker);
    else if (more == OAI_TASK_NAMED)
        oai_task_end_named(task, worker);
    else
        oai_task_end(task, worker);
}

static inline void dispatch(oai_worker_t *worker, oai_task_t *task)
{
    worker->current = task;
    if (task->stack) {
        count(&worker->dispatches);
        oai_stack_put(&worker->stacks, worker->stack);
        worker->stack = task->stack;
        oai_jump(&task->context);
    }
    uint32_t flags = flags_of(task);
    if (!may_begin(worker, task, flags))
        return;
    if (OAI_UNLIKELY(stack_class(worker, flags) != worker->stack->cls)) {
        change_stack(worker, task);
        return;
    }
    count(&worker->dispatches);
    oai_sync_acquire(task);
    task->fresh.fn(task->arg);
    end_task();
}

static _Noreturn void loop(void *arg)
{
    (void)arg;
    settle();
    oai_worker_t *worker = oai_self();
    oai_task_t *task = worker->pending;
    worker->pending = NULL;
    while (task || (task = next_task(worker)) || (task = oai_worker_find(worker))) {
        dispatch(worker, task);
        worker = oai_self();
        task = NULL;
    }
    oai_stack_put(&worker->stacks, worker->stack);
    worker->stack = NULL;
    oai_jump(&worker->native);
}

void oai_worker_run(oai_worker_t *worker)
{
    oai_context_thread(&worker->native);
    // coord.c has seen to it that there is a stack.
    worker->stack = oai_stack_get(&worker->stacks, worker->coord->stack_class);
    oai_switch_enter(&worker->native, NULL, worker->stack, loop, NULL);
}

int oai_worker_prepare_slow(oai_worker_t *worker)
{
    oai_stack_t *stack = oai_stack_get(&worker->stacks, worker->coord->stack_class);
    if (!stack)
        return -ENOMEM;
    oai_stack_put(&worker->stacks, stack);
    return 0;
}

// The task to go on with, if there is one; *alone: there is none.
static inline oai_task_t *take_along(oai_worker_t *worker, bool *alone)
{
    oai_task_t *next = pop(worker);
    *alone = next == NULL;
    return next;
}

// Leaves for the next task, or for a fresh loop; returns when the task is resumed.
static inline void leave_for(oai_worker_t *worker, oai_task_t *task, oai_task_t *next)
{
    if (next && next->stack) {
        count(&worker->dispatches);
        worker->current = next;
        worker->stack = next->stack;
        oai_switch(&task->context, &next->context);
    } else {
        worker->current = NULL;
        worker->pending = next;
        worker->stack = oai_stack_get(&worker->stacks, worker->coord->stack_class);
        oai_switch_enter(&task->context, NULL, worker->stack, loop, NULL);
    }
    settle();
}

#endif

OAI_ALWAYS_INLINE void leave(oai_worker_t *worker, oai_leave_t why)
{
    oai_task_t *task = worker->current;
    OAI_ASSERT(task && !worker->left && !worker->pending);
    // When it is time to look around a fresh loop does it, not deep on the stack of this task.
    bool alone = false;
    oai_task_t *next = NULL;
    if (OAI_LIKELY(worker->tick > 1)) {
        worker->tick--;
        next = take_along(worker, &alone);
    } else if (why == OAI_LEAVE_YIELD && oai_sim_of(worker->coord)) {
        oai_sim_yields(worker->coord->sim, task);
    }
    if (alone && why == OAI_LEAVE_YIELD)
        return; // nobody else is here
    if (why == OAI_LEAVE_PARK)
        count(&worker->parks);
#if !OAI_OWN_STACKS
    task->stack = worker->stack;
#endif
    if (OAI_UNLIKELY(!oai_stack_canary_ok(task->stack)))
        tell_overrun(task);
    oai_fpctl_t fp; // looked at where the worker goes on, and here after that: told in fpctl.h
    oai_fpctl_read(&fp);
    worker->left = task;
    worker->left_why = why;
    worker->left_fp = &fp;
    leave_for(worker, task, next);
    if (OAI_UNLIKELY(!oai_fpctl_is_default(&fp))) {
        oai_fpctl_strip(&fp);
        oai_fpctl_set(&fp);
    }
}

int oai_worker_park(oai_worker_t *worker)
{
    oai_task_t *task = worker->current;
    leave(worker, OAI_LEAVE_PARK);
    return oai_wait_ended(task);
}

void oai_worker_leave(oai_worker_t *worker, oai_leave_t why)
{
    leave(worker, why);
}

void oa_yield(void)
{
    oai_worker_t *worker = oai_self();
    if (!worker || !worker->current)
        oai_os.yield();
    else if (oai_worker_prepare(worker) == 0)
        leave(worker, OAI_LEAVE_YIELD);
}
