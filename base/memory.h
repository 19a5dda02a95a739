/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Give pages back to the kernel that are not needed now: those of the heap that
 * are free, and the stack below the caller. For a long sleep, from a place where
 * the stack is not deep.
 */
void memory_give_back(void);
