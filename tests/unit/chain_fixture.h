/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "launcher/disks/disks.h"

/* Each test has a directory of its own and works in it. */
extern char chain_directory[];
int chain_setup(void **state);
int chain_teardown(void **state);

void chain_put(const char *name, const void *bytes, size_t len);
void chain_put_raw(const char *name);

/* A qcow2 header, version 2, with a backing file (NULL: none) of a format (NULL: to be probed). */
void chain_put_qcow2(const char *name, const char *backing, const char *format);

/* Words as in a shell without quotes. Returns the code; @ret and @err are the caller's. */
int chain_find(const char *words, struct disks *ret, struct error *err);

/* @wanted: "NAME MODE" of each resource, in the order of the names, and the notes' kinds. */
void chain_expect(const char *words, const char *wanted);
void chain_refuses(const char *words, int status, const char *part);
