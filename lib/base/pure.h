/*
 * Included last by every pure file (controllers/, scheduler/plugins/, *_core.c, apiserver/kinds/,
 * reconciler/health/ …): what decides does no I/O, reads no clock and throws no dice. A snapshot,
 * a time and a seed go in; a plan comes out. Member names are poisoned too.
 */
#pragma GCC poison open openat creat read write pread pwrite close fopen fread fwrite printf       \
	fprintf puts
#pragma GCC poison socket connect accept bind listen send recv sendmsg recvmsg poll epoll_wait     \
	select ioctl
#pragma GCC poison time clock_gettime gettimeofday nanosleep usleep sleep
#pragma GCC poison getenv setenv rand random srand getrandom random_bytes uuid_v4
#pragma GCC poison fork execve execv waitpid kill signal pthread_create
