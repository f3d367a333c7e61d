/* The roles' processes, `plumb proxy` and `plumb dns`. Return the exit code. */
#ifndef PLUMB_PROXY_MAIN_H
#define PLUMB_PROXY_MAIN_H

int proxy_main(int argc, char **argv);
int dns_main(int argc, char **argv);

#endif
