/** The stub domains of `paravane build`, in the order in which its help shows them. */

export interface StubDomain {
  /** As it is typed, and the folder of stubdoms/ that it is in. */
  readonly name: string;
  /** One line, beginning in lower case. */
  readonly summary: string;
  /** What it takes to run well. */
  readonly memory_mib: number;
}

export const stubDomains: readonly StubDomain[] = [
  { name: 'xenstored', summary: 'serve xenstore from a domain of its own', memory_mib: 8 },
  { name: 'echo', summary: 'say every line that is typed at the console', memory_mib: 8 },
];

/** The composition, below the checkout. */
export const entryOf = ({ name }: StubDomain) => `stubdoms/${name}/unikernel.ts`;

/** The configuration with which xl starts it. */
export function xlConfig({ name, memory_mib }: StubDomain, image: string): string {
  return [
    `name = "${name}"`,
    'type = "pvh"',
    `kernel = "${image}"`,
    `memory = ${memory_mib}`,
    // Xen's own need for a domain this small is more than xl reckons.
    'shadow_memory = 2',
    'on_crash = "restart"',
    '',
  ].join('\n');
}
