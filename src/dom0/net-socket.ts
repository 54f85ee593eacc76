/** Where the network back end and `paravane net capture` meet, unless told otherwise. */
export const CAPTURE_SOCKET = '/run/paravane/netback.socket';
