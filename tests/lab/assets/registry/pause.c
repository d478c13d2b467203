/* The process of a pod's sandbox: reaps children, ends on a signal. `pause -v` prints and exits: the health check of
   kubeadm's upgrade runs it as a Job, and fails if that does not complete within 15 s. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void stop(int signal) { (void)signal; _exit(0); }
static void reap(int signal) { (void)signal; while (waitpid(-1, 0, WNOHANG) > 0); }

int main(int argc, char **argv) {
  if (argc > 1 && !strcmp(argv[1], "-v")) { puts("pause " VERSION); return 0; }
  signal(SIGINT, stop);
  signal(SIGTERM, stop);
  signal(SIGCHLD, reap);
  for (;;) pause();
}
