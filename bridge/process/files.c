/*
 * The files that are used after the start, and whether the process may.
 *
 * That is checked beforehand, as a reload, a rotation or SIGUSR1 is a bad time to find out. The
 * kernel is asked (faccessat() with the effective identity), except for what it can't be asked:
 * whether a file may be replaced in a directory with the sticky bit.
 */
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILES_FIXED = 2 }; /* before the connection logs */

static const char *unless_stdout(const char *path)
{
	return path && strcmp(path, "-") ? path : NULL;
}

bool files_at(const struct files *files, unsigned i, struct file_used *ret)
{
	if (i == 0) {
		*ret = (struct file_used){files->config, FILE_READ};
	} else if (i == 1) {
		*ret = (struct file_used){unless_stdout(files->stats), FILE_REPLACE};
	} else if (i - FILES_FIXED < files->rules->nfarms) {
		const char *path = files->rules->farms[i - FILES_FIXED].connlog;

		*ret = (struct file_used){unless_stdout(path), FILE_APPEND};
	} else if (i - FILES_FIXED - files->rules->nfarms < files->rules->nlists) {
		i -= FILES_FIXED + files->rules->nfarms;
		*ret = (struct file_used){files->rules->lists[i], FILE_READ};
	} else {
		return false;
	}
	return true;
}

bool file_stays(const struct file_used *file)
{
	struct stat st;

	if (stat(file->path, &st) < 0)
		return false;
	if (!S_ISREG(st.st_mode))
		return true;
	return file->use == FILE_REPLACE && lstat(file->path, &st) == 0 && S_ISLNK(st.st_mode);
}

const char *file_fault(int err)
{
	switch (err) {
	case ENXIO:
	case EPIPE:
		return "nobody reads this pipe";
	case EAGAIN:
	case ETIMEDOUT:
		return "its reader doesn't keep up";
	case ENOBUFS:
		return "the disk is too slow";
	default:
		return strerror(err);
	}
}

char *file_directory(const char *path)
{
	char *copy = strdup(path);
	char *ret = copy ? strdup(dirname(copy)) : NULL;

	free(copy);
	return ret;
}

static int ask(const char *path, int mode)
{
	return faccessat(AT_FDCWD, path, mode, AT_EACCESS) < 0 ? -errno : 0;
}

/* inode(7): there only the owner of the file or of the directory renames over the file. */
static int check_sticky(const char *path, const char *directory)
{
	struct stat dir, file;

	if (stat(directory, &dir) < 0 || !(dir.st_mode & S_ISVTX) || lstat(path, &file) < 0)
		return 0;
	return file.st_uid == geteuid() || dir.st_uid == geteuid() ? 0 : -EPERM;
}

static int check_writable(const char *path, struct files_problem *ret)
{
	char *directory = file_directory(path);
	int err = directory ? ask(directory, W_OK | X_OK) : -ENOMEM;

	ret->what = "write in its directory";
	free(directory);
	return err;
}

static int check_directory(const char *path, struct files_problem *ret)
{
	char *directory = file_directory(path);
	int err = directory ? check_writable(path, ret) : -ENOMEM;

	if (!err) {
		err = check_sticky(path, directory);
		ret->what = "replace it";
	}
	free(directory);
	return err;
}

static bool is_directory(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int check(const struct file_used *file, struct files_problem *ret)
{
	int err;

	if (file->use == FILE_READ) {
		ret->what = "read it";
		return ask(file->path, R_OK);
	}
	ret->what = "write it";
	if (is_directory(file->path))
		return -EISDIR;
	if (file->use == FILE_REPLACE && !file_stays(file))
		return check_directory(file->path, ret);
	err = ask(file->path, W_OK);
	return err == -ENOENT ? check_directory(file->path, ret) : err;
}

/* Whether a log that a rotation takes away can be made again. */
static int check_rotation(const struct file_used *file, struct files_problem *ret)
{
	if (file->use != FILE_APPEND || file_stays(file))
		return 0;
	return check_writable(file->path, ret);
}

typedef int check_file(const struct file_used *file, struct files_problem *ret);

static int check_all(const struct files *files, check_file *check_one, struct files_problem *ret)
{
	struct files_problem problem = {0};
	struct file_used file;
	int err = 0;

	for (unsigned i = 0; !err && files_at(files, i, &file); i++) {
		problem.path = file.path;
		err = file.path ? check_one(&file, &problem) : 0;
	}
	if (err) {
		problem.err = -err;
		*ret = problem;
	}
	return err;
}

int files_check(const struct files *files, struct files_problem *ret)
{
	return check_all(files, check, ret);
}

int files_check_rotation(const struct files *files, struct files_problem *ret)
{
	return check_all(files, check_rotation, ret);
}
