/*
 * libpcap asks the C library for names, and that the network as well as files. A process in its
 * sandbox reaches no network, and a firewall's rules are none of a name server's affair: so names
 * are asked of files alone, at the start as at a reload, which then say the same.
 *
 * The sandbox lets these very files be read. One that is replaced afterwards is another file.
 */
#include "names.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stddef.h>
#include <unistd.h>

#ifdef __GLIBC__
#include <nss.h>
#endif

static const char *const files[] = {"/etc/hosts", "/etc/services", "/etc/protocols",
                                    "/etc/networks", "/etc/ethers"};

enum { NFILES = sizeof(files) / sizeof(files[0]) };

void names_from_files(void)
{
#ifdef __GLIBC__
	static const char *const databases[] = {"hosts", "services", "protocols", "networks",
	                                        "ethers"};

	for (unsigned i = 0; i < sizeof(databases) / sizeof(databases[0]); i++)
		__nss_configure_lookup(databases[i], "files");
#endif
	/* what reads them may be a library of its own, which is loaded when it is first used */
	getprotobynumber(0);
}

const char *names_file(unsigned i)
{
	return i < NFILES ? files[i] : NULL;
}

const char *names_lost(void)
{
	for (unsigned i = 0; i < NFILES; i++) {
		const int fd = open(files[i], O_RDONLY | O_CLOEXEC);

		if (fd < 0 && (errno == EACCES || errno == EPERM))
			return files[i];
		if (fd >= 0)
			close(fd);
	}
	return NULL;
}
