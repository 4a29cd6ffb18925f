/*
 * What starts a daemon may have closed the standard descriptors, as the shell does by 2>&-. A
 * packet socket in the place of stderr would send the log to the wire.
 */
#include "standard.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int standard_keep(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		/* the lowest one that is free */
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0)
			return -errno;
	return 0;
}
