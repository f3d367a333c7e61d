/* The role's process: `plumb apiserver`. Returns the exit code. */
#ifndef PLUMB_APISERVER_MAIN_H
#define PLUMB_APISERVER_MAIN_H

int apiserver_main(int argc, char **argv);

#endif
