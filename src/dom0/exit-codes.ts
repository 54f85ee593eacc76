/** How every command of `paravane` ends; the numbers are part of its interface. */

/** All went well. */
export const EXIT_OK = 0;
/** The operation was refused or failed; for `exists`, a node is missing. */
export const EXIT_FAILED = 1;
/** The command line makes no sense. */
export const EXIT_USAGE = 2;
