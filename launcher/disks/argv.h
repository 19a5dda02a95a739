/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/str.h"
#include "launcher/disks/note.h"

/*
 * What a QEMU command line says, as far as it concerns us. Pure: no file is
 * opened, nothing is looked up on this host.
 */

/*
 * A file name as the user or an image header gives it (it may begin with
 * "PROTOCOL:" or "json:"), in contrast to a node's "filename", which is taken
 * as it is. QEMU makes the same difference without a name for it.
 */
#define NODE_PSEUDO_FILENAME "@filename"

/* One argument that makes block nodes. */
struct argv_image {
	json_t *node;  /* as for blockdev-add, with NODE_PSEUDO_FILENAME */
	char *id;      /* -drive id=; NULL: none */
	char *origin;  /* the argument as it was given, for people */
	unsigned uses; /* argv_use bits besides those of its name */
};

/* -add-fd: a descriptor of ours that is a way to open "/dev/fdset/SET". */
struct argv_fd {
	uint64_t set;
	int fd;
};

/* -object memory-backend-file: a file that is mapped into the guest. */
struct argv_memory {
	char *path;
	char *origin;
	bool writable; /* what the guest writes goes into the file */
	bool together; /* it is there to be shared with other VMs (ivshmem) */
};

/* Who uses the image of one name (drive id or node name), as bits. */
enum argv_use {
	ARGV_USE_DEVICE = 1 << 0,        /* at least one device */
	ARGV_USE_NO_SHARING = 1 << 1,    /* one without share-rw=on */
	ARGV_USE_NO_CDROM = 1 << 2,      /* one that is no CD-ROM drive */
	ARGV_USE_UNKNOWN = (1 << 3) - 1, /* one of which nothing else is known */
};

struct command_line {
	bool starts_vm; /* false: it prints something and exits, and opens no image */
	struct argv_image *images;
	size_t n_images;
	struct argv_fd *fds;
	size_t n_fds;
	struct argv_memory *memories; /* those that matter: disks, and what is written */
	size_t n_memories;
	bool maps_disk;       /* one of them is a disk, and written */
	json_t *uses;         /* name -> argv_use bits */
	struct strv monitors; /* why vmlatch cannot see every command: one sentence each */
	struct disks_notes notes;

	char *name; /* -name guest= */
	char *uuid;
	char *incoming; /* what it waits for; NULL: no -incoming */
	char *pidfile;
	char *runas;      /* also -run-with user= */
	char *chroot_dir; /* also -run-with chroot= */
	char *loadvm;
	char *helper_origin;    /* an argument that starts a setuid program; NULL: none does */
	char *interface_origin; /* one that makes a network interface (CAP_NET_ADMIN) */
	char *locking_origin;   /* one that locks memory (CAP_IPC_LOCK, RLIMIT_MEMLOCK) */
	char *owners_origin;    /* one that gives files to others (CAP_CHOWN) */
	char *smb_origin;       /* one that starts smbd (CAP_SETGID, CAP_SETUID if it is root's) */
	char *kvm_origin;       /* one that asks for KVM */
	bool kvm_or_other;      /* without KVM it takes another accelerator */
	struct strv programs;   /* the network arguments for which QEMU starts a program */
	char *sandbox;          /* QEMU's own filter of system calls */
	bool starts_helpers;    /* libraries of its display or sound start programs */
	bool user_stopped;      /* -S */
	bool daemonize;
	bool preconfig;
	bool snapshot; /* -snapshot */
	bool nodefaults;
	bool no_user_config;
	bool shutdown_pauses; /* -no-shutdown, -action shutdown=pause */
};

/* QEMU reads it before anything else, unless it is told not to. */
#define QEMU_DEFAULT_CONFIG "/etc/qemu/qemu.conf"

/*
 * Read a config file that the command line names.
 *
 * Returns 0; COMMAND_LINE_NO_CONFIG: it cannot be read, with a sentence, or
 * without one where that is no loss; or -errno with a sentence, and nothing can
 * go on.
 */
enum { COMMAND_LINE_NO_CONFIG = 1 };
typedef int command_line_read_fn(const char *name, struct str *ret, struct error *err);

/*
 * @argv	NULL-terminated; [0] is QEMU
 * @read	how config files are read; NULL: not at all
 * @ret		end it with command_line_finish()
 *
 * What cannot be understood becomes a note. Returns 0, -ENOMEM or what @read
 * returned, with a sentence.
 */
int command_line_parse(
	char **argv, command_line_read_fn *read, struct command_line *ret, struct error *err);
void command_line_finish(struct command_line *line);

/* Who uses that image: argv_use bits; 0 for a NULL or unknown @name. */
unsigned command_line_uses(const struct command_line *line, const char *name);
