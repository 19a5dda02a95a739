/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "launcher/vm/locks_job.h"

/*
 * Which resources a client's words mean: jobs for the lock thread, because to read
 * an image's header may hang as any lock call may.
 *
 * job->text	a path or a lease
 * job->images	gets what they mean
 *
 * Each returns 0 or -errno with a sentence.
 */

/* To be attached; job->readonly: as a reader. What could never be locked is refused. */
int find_disk(struct locks_job *job, struct error *err);  /* with its backing files */
int find_image(struct locks_job *job, struct error *err); /* one file of a chain */
int find_lease(struct locks_job *job, struct error *err);

/* Of what is attached, however it is spelt; none is no error. */
int find_attached_image(struct locks_job *job, struct error *err);
int find_attached_lease(struct locks_job *job, struct error *err);
