/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "launcher/vm/vm.h"
#include "qmp/server.h"

/* A client's command that QEMU answers. */
void control_pass(struct vm *vm, struct qmp_request *request);

/* A QEMU that is frozen answers nothing: those who wait for it are told, and wait no longer. */
void control_pass_give_up(struct vm *vm);
