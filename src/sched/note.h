// SPDX-License-Identifier: BSD-2-Clause
// note.h - what is kept of each task of a simulation, for whoever has to tell where it waits.
//
// Owns:    a note for each slot of a slab, made when the first is asked for.
// Callers: the worker of the simulation.
#ifndef OAI_SCHED_NOTE_H
#define OAI_SCHED_NOTE_H

#include "sched/internal.h"

typedef struct oai_note {
    const char *call;   // that the task is in or was in last; NULL: it has made none
    const void *object; // of that call
    // Of one that waits in `call`: who holds the object (oai_wait_self()), 0: nobody; or NULL.
    uintptr_t (*holder)(const void *object);
    bool guards; // it waits because others use its memory
} oai_note_t;

// NULL: no memory.
oai_note_t *oai_note_of(const oai_task_t *task);

// How a task is called in a line of the log.
enum { OAI_TASK_TEXT = 160 };
const char *oai_task_text(const oai_task_t *task, char text[OAI_TASK_TEXT]);

#endif
