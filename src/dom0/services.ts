/** The services of `paravane run`, in the order in which its help shows them. */
import type { Service } from './run-command.ts';

export const services: readonly Service[] = [];
