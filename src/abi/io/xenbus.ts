/** The states of a device's two ends, xen/include/public/io/xenbus.h. */

/** No `state` node, or none that is understood. */
export const XenbusStateUnknown = 0;
export const XenbusStateInitialising = 1;
/** Finished early initialisation, waiting for the peer or for a hotplug script. */
export const XenbusStateInitWait = 2;
/** Waiting for a connection from the peer. */
export const XenbusStateInitialised = 3;
export const XenbusStateConnected = 4;
/** Being closed, after an error or because the device is unplugged. */
export const XenbusStateClosing = 5;
export const XenbusStateClosed = 6;
export const XenbusStateReconfiguring = 7;
export const XenbusStateReconfigured = 8;

export type XenbusState = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8;
