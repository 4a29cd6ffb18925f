#include "run.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

/* Makes the directory, or takes the one that is there. A symbolic link isn't taken, as files with
 * our names would be removed where it leads. */
static int make_directory(const char *path)
{
	struct stat is;

	if (mkdir(path, 0755) == 0)
		return 0;
	if (errno != EEXIST || lstat(path, &is) < 0)
		return -errno;
	return S_ISDIR(is.st_mode) ? 0 : -ENOTDIR;
}

int run_directory(const char *const names[NSIDES], char ret[RUN_PATH_BYTES])
{
	int err;

	if (snprintf(ret, RUN_PATH_BYTES, RUN_DIRECTORY "/%s%s%s", names[OUTSIDE],
	             names[INSIDE] ? "-" : "",
	             names[INSIDE] ? names[INSIDE] : "") >= RUN_PATH_BYTES)
		return -ENAMETOOLONG;
	err = make_directory(RUN_DIRECTORY);
	return err ? err : make_directory(ret);
}
