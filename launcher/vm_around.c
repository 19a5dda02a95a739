/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm_around.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "launcher/vm_holder.h"
#include "locking/holder_process.h"

void vm_around_finish(struct vm_around *around)
{
	size_t i;

	for (i = 0; i < around->n; i++)
		vm_entry_finish(&around->vms[i]);
	free(around->vms);
	*around = (struct vm_around){ 0 };
}

/* No runtime directory is no VM; one that cannot be read is worth a word. */
static void look_around(struct vm_around *around, const struct resource_identity *disk)
{
	_cleanup_(rundir_finish) struct rundir rundir = RUNDIR_INIT;
	struct error err = { 0 };
	int ret = rundir_open(&rundir, false, &err);

	if (ret == 0 && around->once)
		ret = rundir_list_users(&rundir, disk, &around->vms, &around->n);
	else if (ret == 0)
		ret = rundir_list(&rundir, &around->vms, &around->n, &err);
	if (ret < 0)
		log_debug("no VM is looked at: %s", err.text[0] ? err.text : strerror(-ret));
	around->known = true;
}

const struct vm_entry *vm_around_find(struct vm_around *around, const struct lock_view *view)
{
	if (view->held && view->holder.source == LOCK_HOLDER_RECORD)
		return NULL;
	if (!around->known)
		look_around(around, &view->id);
	return vm_holder_find(around->vms, around->n, &view->id);
}

void vm_around_name_holder(struct lock_view *view, const struct vm_entry *vm)
{
	if (view->held && !vm_holder_name(vm, &view->holder) &&
		view->holder.source == LOCK_HOLDER_UNKNOWN)
		holder_scan(&view->id, RESOURCE_EXCLUSIVE, &view->holder);
}
