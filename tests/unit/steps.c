/*
 * The memory is write-protected: so a write is a fault, upon which it is allowed, and the
 * processor's trap flag is set for the one instruction.
 */
#include "steps.h"

#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
#define STEPS_CAN_BE_TAKEN 1
#if defined(__has_feature)
#if __has_feature(thread_sanitizer) /* keeps signals for later */
#undef STEPS_CAN_BE_TAKEN
#endif
#endif
#endif

#ifdef STEPS_CAN_BE_TAKEN

#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

enum { TRAP_FLAG = 0x100 };

static struct steps_area pages[STEPS_AREAS_MAX];
static unsigned npages;
static void (*look_at)(void);

static void protect(int how)
{
	for (unsigned i = 0; i < npages; i++)
		if (mprotect(pages[i].at, pages[i].bytes, how) < 0)
			abort();
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
	ucontext_t *stopped = context;

	(void)signal;
	for (unsigned i = 0; i < npages; i++)
		if ((uintptr_t)info->si_addr - (uintptr_t)pages[i].at < pages[i].bytes) {
			protect(PROT_READ | PROT_WRITE);
			stopped->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
			return;
		}
	abort();
}

static void on_trap(int signal, siginfo_t *info, void *context)
{
	ucontext_t *stopped = context;

	(void)signal;
	(void)info;
	look_at();
	protect(PROT_READ);
	stopped->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
}

bool steps_can_be_taken(void)
{
	return true;
}

void steps_take(const struct steps_area *areas, unsigned n, void (*work)(void), void (*look)(void))
{
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	const struct sigaction fault = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
	const struct sigaction trap = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO};
	struct sigaction before[2];

	look_at = look;
	npages = n;
	for (unsigned i = 0; i < n; i++) {
		const uintptr_t first = (uintptr_t)areas[i].at & -page;

		pages[i].at = (void *)first;
		pages[i].bytes = (uintptr_t)areas[i].at + areas[i].bytes - first;
	}
	sigaction(SIGSEGV, &fault, &before[0]);
	sigaction(SIGTRAP, &trap, &before[1]);
	protect(PROT_READ);
	work();
	protect(PROT_READ | PROT_WRITE);
	sigaction(SIGSEGV, &before[0], NULL);
	sigaction(SIGTRAP, &before[1], NULL);
}

#else

bool steps_can_be_taken(void)
{
	return false;
}

void steps_take(const struct steps_area *areas, unsigned n, void (*work)(void), void (*look)(void))
{
	(void)areas;
	(void)n;
	(void)look;
	work();
}

#endif
