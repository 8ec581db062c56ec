/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A changed image could be restarted: look from outside whether that gave a
 * process of any kind that its maker could have made otherwise.
 */
#ifndef _MUTATE_LOOK_H
#define _MUTATE_LOOK_H

#include <dirent.h>
#include <stdarg.h>

#include "mutate_identity.h"

struct privileges {
	uint64_t inh, prm, eff, bnd, amb;
	unsigned int uid[4], gid[4];
	unsigned int nnp, seccomp, nr_groups;
};

struct watch {
	enum identity who;
	pid_t caller;
	struct privileges most;		/* those of the caller */
	char *bad;			/* where to say what is wrong, 256 bytes */
};

/* Big enough for the maps of a small process. */
static char look_text[1 << 18];

__attribute__((format(printf, 2, 3)))
static bool wrong(struct watch *w, const char *fmt, ...)
{
	va_list ap;

	if (*w->bad)
		return false;
	va_start(ap, fmt);
	vsnprintf(w->bad, 256, fmt, ap);
	va_end(ap);
	return false;
}

static const char *value_of(const char *text, const char *key)
{
	const char *p = strstr(text, key);

	return p ? p + strlen(key) : "";
}

/* False if the task is gone meanwhile. */
static bool read_privileges(const char *path, struct privileges *p)
{
	static char text[8192];
	char word[16], *save, *groups;
	unsigned int i;

	memset(p, 0, sizeof(*p));
	if (!torture_read(path, text, sizeof(text)))
		return false;
	p->inh = strtoull(value_of(text, "CapInh:"), NULL, 16);
	p->prm = strtoull(value_of(text, "CapPrm:"), NULL, 16);
	p->eff = strtoull(value_of(text, "CapEff:"), NULL, 16);
	p->bnd = strtoull(value_of(text, "CapBnd:"), NULL, 16);
	p->amb = strtoull(value_of(text, "CapAmb:"), NULL, 16);
	p->nnp = strtoul(value_of(text, "NoNewPrivs:"), NULL, 10);
	p->seccomp = strtoul(value_of(text, "Seccomp:"), NULL, 10);
	if (sscanf(value_of(text, "Uid:"), "%u %u %u %u", &p->uid[0], &p->uid[1],
		   &p->uid[2], &p->uid[3]) != 4 ||
	    sscanf(value_of(text, "Gid:"), "%u %u %u %u", &p->gid[0], &p->gid[1],
		   &p->gid[2], &p->gid[3]) != 4)
		return false;
	groups = strndup(value_of(text, "Groups:"), strcspn(value_of(text, "Groups:"), "\n"));
	for (i = 0, save = groups; save && sscanf(save, "%15s", word) == 1; i++)
		save = strstr(save, word) + strlen(word);
	free(groups);
	p->nr_groups = i;
	return true;
}

static bool check_privileges(struct watch *w, const char *path)
{
	const struct privileges *m = &w->most;
	struct privileges p;
	int i;

	if (!read_privileges(path, &p))
		return true;
	if ((p.prm | p.eff | p.amb) & ~m->prm || p.bnd & ~m->bnd || p.inh & ~(m->inh | m->bnd))
		return wrong(w, "%s: more capabilities than the caller has", path);
	if (p.nnp < m->nnp || p.seccomp < m->seccomp)
		return wrong(w, "%s: no_new_privs %u, seccomp %u", path, p.nnp, p.seccomp);
	if (w->who == AS_ROOT)
		return true;
	for (i = 0; i < 4; i++)
		if (p.uid[i] != m->uid[i] || p.gid[i] != m->gid[i])
			return wrong(w, "%s: other user or group ids than the caller's", path);
	if (p.nr_groups > m->nr_groups)
		return wrong(w, "%s: %u groups", path, p.nr_groups);
	return true;
}

/* Could the caller have opened it? The warden of AS_CAP is root itself. */
static bool may_access(struct watch *w, const char *path, int mode)
{
	bool ok;

	if (w->who == AS_CAP && seteuid(NOBODY))
		torture_die("seteuid");
	ok = !faccessat(AT_FDCWD, path, mode, AT_EACCESS) || errno == ENOENT;
	if (w->who == AS_CAP && seteuid(0))
		torture_die("seteuid");
	return ok;
}

/* Names that are no files of the file system, or whose names mean nothing here. */
static bool is_special(const char *path)
{
	return path[0] != '/' || strstr(path, " (deleted)") || !strncmp(path, "/proc/", 6) ||
	       !strncmp(path, "/memfd:", 7);
}

static bool check_fd(struct watch *w, const char *dir, const char *name)
{
	char path[400], target[4096], info[512];
	unsigned int flags;
	ssize_t n;
	int mode;

	snprintf(path, sizeof(path), "%s/fd/%s", dir, name);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return true;
	target[n] = '\0';
	snprintf(path, sizeof(path), "%s/fdinfo/%s", dir, name);
	if (is_special(target) || !torture_read(path, info, sizeof(info)))
		return true;
	flags = strtoul(value_of(info, "flags:"), NULL, 8);
	if (flags & O_PATH)
		return true;
	mode = (flags & O_ACCMODE) == O_WRONLY ? W_OK :
	       (flags & O_ACCMODE) == O_RDWR ? R_OK | W_OK : R_OK;
	if (!may_access(w, target, mode))
		return wrong(w, "%s has %.80s open, flags 0%o", dir, target, flags);
	return true;
}

static bool check_fds(struct watch *w, const char *dir)
{
	char path[300];
	struct dirent *de;
	bool ok = true;
	DIR *d;

	snprintf(path, sizeof(path), "%s/fd", dir);
	d = opendir(path);
	while (ok && d && (de = readdir(d)))
		if (de->d_name[0] != '.')
			ok = check_fd(w, dir, de->d_name);
	if (d)
		closedir(d);
	return ok;
}

static bool check_maps(struct watch *w, const char *dir)
{
	unsigned long start, end, before = 0;
	char path[300], perm[8], *line, *save;
	int at;

	snprintf(path, sizeof(path), "%s/maps", dir);
	if (!torture_read(path, look_text, sizeof(look_text)))
		return true;
	for (line = strtok_r(look_text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (strstr(line, "[vsyscall]"))
			continue;
		if (sscanf(line, "%lx-%lx %7s %*s %*s %*s %n", &start, &end, perm, &at) != 3)
			return wrong(w, "%s: cannot be read: %.80s", path, line);
		if (start >= end || start < before || end > USER_END)
			return wrong(w, "%s: %.80s", path, line);
		before = end;
		if (w->who != AS_ROOT && perm[1] == 'w' && perm[3] == 's' &&
		    !is_special(line + at) && !may_access(w, line + at, W_OK))
			return wrong(w, "%s: %.120s", path, line);
	}
	return true;
}

/* A task that restart() has let go waits for nothing of restart() any more. */
static bool check_wchan(struct watch *w, const char *dir)
{
	char path[400], text[64];

	snprintf(path, sizeof(path), "%s/wchan", dir);
	if (torture_read(path, text, sizeof(text)) && strstr(text, "barrier_"))
		return wrong(w, "%s: %s: it is not let go", dir, text);
	return true;
}

static bool check_process(struct watch *w, pid_t pid)
{
	char dir[32], path[300];
	struct dirent *de;
	bool ok = true;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	d = opendir(path);
	while (ok && d && (de = readdir(d))) {
		if (de->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%s/status", pid, de->d_name);
		ok = check_privileges(w, path);
		snprintf(path, sizeof(path), "/proc/%d/task/%s", pid, de->d_name);
		ok = ok && check_wchan(w, path);
	}
	if (d)
		closedir(d);
	snprintf(dir, sizeof(dir), "/proc/%d", pid);
	return ok && check_maps(w, dir) && (w->who == AS_ROOT || check_fds(w, dir));
}

/* Calls @fn for every other process of the box. Returns how many there are. */
static int each_process(struct watch *w, bool (*fn)(struct watch *w, pid_t pid))
{
	DIR *d = opendir("/proc");
	struct dirent *de;
	int n = 0;
	pid_t pid;

	if (!d)
		torture_die("/proc");
	while ((de = readdir(d))) {
		pid = atoi(de->d_name);
		if (pid <= 1 || pid == w->caller)
			continue;
		n++;
		if (fn && !fn(w, pid))
			break;
	}
	closedir(d);
	return n;
}

static bool kill_process(struct watch *w, pid_t pid)
{
	(void)w;
	kill(pid, SIGKILL);
	return true;
}

static bool continue_process(struct watch *w, pid_t pid)
{
	(void)w;
	kill(pid, SIGCONT);
	return true;
}

#endif /* _MUTATE_LOOK_H */
