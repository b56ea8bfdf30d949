/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A thread forks, and the child ends by pthread_exit in its only thread: the process's exit, with
 * atexit handlers and destructors of thread-specific data; the last of them ends it by a signal.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void at_exit(void)
{
    kill(getpid(), SIGUSR1);
}

static void destructor(void *value)
{
    write(1, value, 11);
}

static void *body(void *arg)
{
    pthread_key_t key;
    int status;
    pid_t child = fork();

    if (child == 0) {
        pthread_key_create(&key, destructor);
        pthread_setspecific(key, (void *)"destructor\n");
        atexit(at_exit);
        pthread_exit(arg);
    }
    waitpid(child, &status, 0);
    printf("ended by signal %d\n", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
    return NULL;
}

int main(void)
{
    pthread_t th;

    setbuf(stdout, NULL);
    pthread_create(&th, NULL, body, NULL);
    pthread_join(th, NULL);
    body(NULL);
    return 0;
}
