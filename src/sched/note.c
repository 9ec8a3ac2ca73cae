// SPDX-License-Identifier: BSD-2-Clause
// note.c - where a task of a simulation is, and how it is called (note.h).
#include "sched/note.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "sched/wait.h"

oai_note_t *oai_note_of(const oai_task_t *task)
{
    oai_slab_t *slab = oai_slab_of(task);
    if (!slab->notes) {
        size_t size = oai_slab_slots() * sizeof(oai_note_t);
        if (!(slab->notes = oai_os.alloc(size)))
            return NULL;
        memset(slab->notes, 0, size);
    }
    return (oai_note_t *)slab->notes + oai_slab_index(task);
}

void oai_wait_told(const char *call, const void *object, uintptr_t (*holder)(const void *object),
                   bool guards)
{
    oai_worker_t *worker = oai_self();
    if (!worker || !worker->current || !worker->coord->sim)
        return;
    oai_sync_release(worker->coord->sim);
    oai_note_t *note = oai_note_of(worker->current);
    if (note)
        *note = (oai_note_t){call, object, holder, guards};
}

const char *oai_task_text(const oai_task_t *task, char text[OAI_TASK_TEXT])
{
    enum { SHOWN = 32, LONGEST = 96 };
    char name[SHOWN];
    size_t length = 0;
    // Byte by byte: TSan looks into calls, and takes a worker's loop and a task for two threads.
    for (const char *from = oai_task_name(task); *from && length < SHOWN - 1; from++)
        name[length++] = *from;
    name[length] = '\0';
    const char *where = task->where ? task->where : "?";
    size_t all = strlen(where);
    size_t cut = all > LONGEST ? all - LONGEST : 0; // of a long path the end is shown
    snprintf(text, OAI_TASK_TEXT, "task %" PRIu64 " (%s%s%s%s)", oai_sim_number(task), name,
             name[0] ? ", " : "", cut ? "..." : "", where + cut);
    return text;
}
