/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/credentials.h"
#include "base/error.h"

/*
 * Images are used with QEMU's rights, lock files with our own. Between enter and
 * leave this thread has QEMU's; leaving twice, or before any enter, is fine.
 */
struct file_rights {
	const struct credentials *credentials; /* QEMU's, borrowed; NULL: our own */
	struct credentials_saved saved;
	bool entered;
};

/* 0 or -errno with a sentence (status 77), and then nothing has changed. */
int file_rights_enter(struct file_rights *rights, struct error *err);
void file_rights_leave(struct file_rights *rights);
