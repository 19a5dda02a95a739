/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/account.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"

enum outcome {
	FOUND,
	NO_USER,
	NO_GROUP,
	TOO_MANY_GROUPS,
	NO_MEMORY,
	NO_ANSWER, /* from here on nobody says it: it is what the caller sees */
	NO_SENSE,
};

/* What the process says, before that many groups. */
struct answer {
	uint32_t outcome;
	uint32_t uid;
	uint32_t gid;
	uint32_t n_groups;
};

struct look_up {
	const char *user;
	const char *group;
	pid_t pid;
	int output; /* our end of the pipe */
	int status; /* as wait() gives it */
};

/* -1 is nobody: to the calls that take it, it says "as before", which may be root. */
static bool is_id(uint64_t number)
{
	return number < UINT32_MAX;
}

static bool id_read(const char *text, uint64_t *ret)
{
	return str_to_u64(text, ret) == 0 && is_id(*ret);
}

static enum outcome groups_find(const struct passwd *entry, struct account *found)
{
	int n = NGROUPS_MAX; /* 256 KiB at once, for a short time */

	found->groups = calloc(n, sizeof(gid_t));
	if (!found->groups)
		return NO_MEMORY;
	if (getgrouplist(entry->pw_name, entry->pw_gid, found->groups, &n) < 0)
		return TOO_MANY_GROUPS;
	found->n_groups = n;
	return FOUND;
}

static enum outcome user_find(const char *user, struct account *found)
{
	const struct passwd *entry = getpwnam(user);
	uint64_t number;

	if (!entry && id_read(user, &number)) {
		entry = getpwuid(number);
		found->uid = found->gid = number;
	} else if (!entry) {
		return NO_USER;
	}
	if (!entry)
		return FOUND;
	found->uid = entry->pw_uid;
	found->gid = entry->pw_gid;
	return groups_find(entry, found);
}

static enum outcome group_find(const char *group, struct account *found)
{
	const struct group *entry = getgrnam(group);
	uint64_t number;

	if (!entry && !id_read(group, &number))
		return NO_GROUP;
	found->gid = entry ? entry->gr_gid : number;
	return FOUND;
}

/* In the process of its own. What it has allocated ends with it. */
static void look_up_answer(const struct look_up *what, int fd)
{
	struct account found = { .uid = geteuid(), .gid = getegid() };
	enum outcome outcome = what->user ? user_find(what->user, &found) : FOUND;
	struct answer answer;

	if (outcome == FOUND && what->group)
		outcome = group_find(what->group, &found);
	answer = (struct answer){ outcome, found.uid, found.gid, found.n_groups };
	if (fd_write_all(fd, &answer, sizeof(answer)) == 0 && outcome == FOUND)
		fd_write_all(fd, found.groups, found.n_groups * sizeof(gid_t));
}

/* Ends as we do; who is dead already counts. */
static void tie(pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(EX_OSERR);
}

static int look_up_start(struct look_up *what)
{
	pid_t parent = getpid();
	int ends[2], code;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	what->pid = fork();
	code = what->pid < 0 ? -errno : 0;
	if (what->pid == 0) {
		tie(parent);
		close(ends[0]);
		look_up_answer(what, ends[1]);
		_exit(0);
	}
	close(ends[1]);
	if (code < 0)
		close(ends[0]);
	else
		what->output = ends[0];
	return code;
}

/* A module may have written there, too: nothing of it is believed to be in order. */
static enum outcome answer_receive(int fd, struct account *ret)
{
	_cleanup_(account_finish) struct account found = { 0 };
	struct answer answer;
	ssize_t size;

	if (fd_read_all(fd, &answer, sizeof(answer)) != sizeof(answer))
		return NO_ANSWER;
	if (answer.outcome != FOUND)
		return answer.outcome < NO_ANSWER ? answer.outcome : NO_SENSE;
	if (!is_id(answer.uid) || !is_id(answer.gid) || answer.n_groups > NGROUPS_MAX)
		return NO_SENSE;
	found = (struct account){ .uid = answer.uid, .gid = answer.gid };
	size = answer.n_groups * sizeof(gid_t);
	if (size)
		found.groups = malloc(size);
	if (size && !found.groups)
		return NO_MEMORY;
	if (fd_read_all(fd, found.groups, size) != size)
		return NO_ANSWER;
	found.n_groups = answer.n_groups;
	*ret = found;
	found.groups = NULL;
	return FOUND;
}

static enum outcome look_up_finish(struct look_up *what, struct account *ret)
{
	enum outcome outcome = answer_receive(what->output, ret);

	close(what->output);
	if (outcome == NO_SENSE)
		kill(what->pid, SIGKILL); /* who knows what it does */
	while (waitpid(what->pid, &what->status, 0) < 0 && errno == EINTR)
		;
	return outcome;
}

static int name_death(int status, struct error *err)
{
	static const char ask[] = "'getent' asks the same modules, those of /etc/nsswitch.conf";

	if (WIFSIGNALED(status))
		return error_set(err, -ECHILD, "looking it up was ended by signal %d (%s); %s",
			WTERMSIG(status), strsignal(WTERMSIG(status)), ask);
	return error_set(err, -ECHILD, "looking it up ended with status %d and no answer; %s",
		WEXITSTATUS(status), ask);
}

/* What is nothing that the user could have named otherwise. */
static int name_failure(enum outcome outcome, const struct look_up *what, struct error *err)
{
	int code;

	if (outcome == NO_MEMORY)
		code = error_set(err, -ENOMEM, "out of memory");
	else if (outcome == NO_SENSE)
		code = error_set(err, -ECHILD, "looking it up gave what is no user and no group");
	else
		code = name_death(what->status, err);
	if (what->group)
		error_prefix(err, code, "group '%s'", what->group);
	if (what->user)
		error_prefix(err, code, "user '%s'", what->user);
	return error_status(err, code, EX_OSERR);
}

static int name_outcome(enum outcome outcome, const struct look_up *what, struct error *err)
{
	switch (outcome) {
	case FOUND:
		return 0;
	case NO_USER:
		return error_set(err, -ENOENT, "there is no user '%s'", what->user);
	case NO_GROUP:
		return error_set(err, -ENOENT, "there is no group '%s'", what->group);
	case TOO_MANY_GROUPS:
		return error_set(err, -E2BIG,
			"user '%s' is in more than %d groups, and no process can be", what->user,
			NGROUPS_MAX);
	default:
		return name_failure(outcome, what, err);
	}
}

int account_find(const char *user, const char *group, struct account *ret, struct error *err)
{
	struct sigaction usual = { .sa_handler = SIG_DFL }, before;
	struct look_up what = { .user = user, .group = group };
	int code;

	sigaction(SIGCHLD, &usual, &before); /* ignored it would take the status away */
	code = look_up_start(&what);
	if (code < 0)
		error_status(err,
			error_set(err, code, "look up users and groups: %s", strerror(-code)),
			EX_OSERR);
	else
		code = name_outcome(look_up_finish(&what, ret), &what, err);
	sigaction(SIGCHLD, &before, NULL);
	return code;
}

void account_finish(struct account *account)
{
	free(account->groups);
	*account = (struct account){ 0 };
}
