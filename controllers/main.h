/* The role's process: `plumb controllers`. Returns the exit code. */
#ifndef PLUMB_CONTROLLERS_MAIN_H
#define PLUMB_CONTROLLERS_MAIN_H

int controllers_main(int argc, char **argv);

#endif
