/** Why a domain has shut down, xen/include/public/sched.h. */

export const SHUTDOWN_poweroff = 0;
export const SHUTDOWN_reboot = 1;
export const SHUTDOWN_suspend = 2;
export const SHUTDOWN_crash = 3;
/** The watchdog ended it. */
export const SHUTDOWN_watchdog = 4;
/** To be rebuilt in place, for kexec. */
export const SHUTDOWN_soft_reset = 5;
