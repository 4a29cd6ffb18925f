/*
 * Whether AddressSanitizer or ThreadSanitizer is built in, which ask more of the kernel than
 * tmbridge does.
 */
#ifndef BRIDGE_SANITIZED_H
#define BRIDGE_SANITIZED_H

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

#ifndef SANITIZED
#define SANITIZED 0
#endif

#endif
