/*
 * What a kubelet's serving certificate says: its node's name with an ending that nothing else has.
 * A node may ask for such a certificate itself, and it is good for nothing but being that kubelet:
 * with an address or a name of DNS in it, it could pass for the API server or another node.
 */
#ifndef PLUMB_NODENAME_H
#define PLUMB_NODENAME_H

#define KUBELET_NAME_END ".kubelet"

#endif
