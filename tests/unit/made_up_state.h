/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "launcher/vm/state.h"

#define MADE_UP_INSTANCE "01234567-89ab-4cde-8f01-23456789abcd"

/* The state of a VM @name of this boot whose disks are held. All of it has a value. */
void made_up_state(const char *name, struct vm_state *ret);

/* Another text for a member; the old one is freed. */
void made_up_text(char **member, const char *text);
