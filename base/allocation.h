/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/*
 * malloc() for a library that passes over a failure: jansson's reader goes on
 * with a string that lacks a byte (and may then write behind its end), its
 * writer with an object that lacks a name. So who reads or writes with it says
 * so, and asks afterwards; in between all calls fail once one has failed, which
 * jansson does notice. For the program's first thread only.
 *
 *	allocation_watch();
 *	tree = json_loads(...);
 *	if (allocation_failed())
 *		return -ENOMEM;
 */
void *allocation_make(size_t size);
void allocation_watch(void);
bool allocation_failed(void); /* ends the watch */
