/* `plumb up`: the whole appliance on one machine. Returns the exit code. */
#ifndef PLUMB_CLI_UP_H
#define PLUMB_CLI_UP_H

int up_main(int argc, char **argv);

#endif
