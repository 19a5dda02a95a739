/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "launcher/vm/vm.h"

/* vmlatch-attach, vmlatch-detach: {"kind": "disk", "path": absolute}. */
void control_attach(struct vm *vm, struct qmp_request *request);
void control_detach(struct vm *vm, struct qmp_request *request);
