/** Where the console daemon and `paravane console` meet, unless told otherwise. */
export const VIEWER_SOCKET = '/run/paravane/xenconsoled.socket';
