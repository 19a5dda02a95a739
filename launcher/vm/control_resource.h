/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "launcher/vm/vm.h"

/*
 * vmlatch-attach, vmlatch-detach: "kind" is
 *
 *	disk	"path" (absolute): an image with its backing files; detached alone
 *	image	"path": one file of a chain
 *	lease	"path": SPACE:KEY[:PATH]
 *
 * and attach may have "readonly": true.
 */
void control_attach(struct vm *vm, struct qmp_request *request);
void control_detach(struct vm *vm, struct qmp_request *request);
