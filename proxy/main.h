/* The role's process: `plumb proxy`. Returns the exit code. */
#ifndef PLUMB_PROXY_MAIN_H
#define PLUMB_PROXY_MAIN_H

int proxy_main(int argc, char **argv);

#endif
