/* `plumb up`: the whole appliance on one machine; `plumb server` (by argv[0]): its control plane.
 * Returns the exit code. */
#ifndef PLUMB_CLI_UP_H
#define PLUMB_CLI_UP_H

int up_main(int argc, char **argv);

#endif
