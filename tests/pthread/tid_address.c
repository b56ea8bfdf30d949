/* SPDX-License-Identifier: BSD-2-Clause
 *
 * set_tid_address: returns the thread's id; the word that it names is cleared, and who waits for
 * it in the kernel is woken, when the thread is gone.
 */
#define _GNU_SOURCE
#include <linux/futex.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int word = 7;

static long address(void)
{
    long at = -1;
    prctl(PR_GET_TID_ADDRESS, &at, 0, 0, 0);
    return at;
}

static void *asks(void *arg)
{
    long was = address();
    printf("id %d\n", syscall(SYS_set_tid_address, 0) == syscall(SYS_gettid));
    printf("none %d\n", address() == 0);
    printf("id %d\n", syscall(SYS_set_tid_address, was) == syscall(SYS_gettid));
    printf("as before %d\n", address() == was);
    return arg;
}

static void *names_word(void *arg)
{
    syscall(SYS_set_tid_address, &word);
    printf("ours %d\n", address() == (long)&word);
    pthread_detach(pthread_self()); /* libc's word is not cleared: it cannot be joined */
    usleep(20000);
    return arg;
}

static void *names_nothing(void *arg)
{
    syscall(SYS_set_tid_address, 8l); /* no such address: nothing happens */
    pthread_detach(pthread_self());
    return arg;
}

int main(void)
{
    pthread_t t;
    pthread_create(&t, NULL, asks, NULL);
    pthread_join(t, NULL);
    pthread_create(&t, NULL, names_nothing, NULL);
    pthread_create(&t, NULL, names_word, NULL);
    while (__atomic_load_n(&word, __ATOMIC_ACQUIRE) == 7)
        syscall(SYS_futex, &word, FUTEX_WAIT, 7, NULL, NULL, 0);
    printf("cleared: %d\n", word);
    return 0;
}
