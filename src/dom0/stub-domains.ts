/** The stub domains of `paravane build`, in the order in which its help shows them. */

export interface StubDomain {
  /** As it is typed, and the folder of stubdoms/ that it is in. */
  readonly name: string;
  /** One line, beginning in lower case. */
  readonly summary: string;
  /** What it takes to run well. */
  readonly memory_mib: number;
  /** What xl is to do when it has crashed. */
  readonly onCrash: 'restart' | 'destroy';
  /** Further lines for xl's configuration. */
  readonly config?: readonly string[];
}

export const stubDomains: readonly StubDomain[] = [
  {
    name: 'xenstored',
    summary: 'serve xenstore from a domain of its own',
    memory_mib: 8,
    onCrash: 'restart',
  },
  {
    name: 'blkback',
    summary: 'serve disks to guests from a domain of its own, a driver domain',
    memory_mib: 16,
    // `paravane run driver-domain` starts it again, which xl could not do under the same domid.
    onCrash: 'destroy',
    config: [
      'driver_domain = 1',
      "disk = [ 'format=raw,vdev=xvda,access=rw,target=/path/to/disk.img' ]",
      "# In a guest's configuration, once `paravane run driver-domain` has started this one:",
      "# disk = [ 'format=raw,vdev=xvda,access=rw,backend=blkback,target=vbd:51712' ]",
    ],
  },
  {
    name: 'echo',
    summary: 'say every line that is typed at the console',
    memory_mib: 8,
    onCrash: 'restart',
  },
];

/** The composition, below the checkout. */
export const entryOf = ({ name }: StubDomain) => `stubdoms/${name}/unikernel.ts`;

/** The configuration with which xl starts it. */
export function xlConfig(stubDomain: StubDomain, image: string): string {
  const { name, memory_mib, onCrash, config = [] } = stubDomain;
  return [
    `name = "${name}"`,
    'type = "pvh"',
    `kernel = "${image}"`,
    `memory = ${memory_mib}`,
    // Xen's own need for a domain this small is more than xl reckons.
    'shadow_memory = 2',
    `on_crash = "${onCrash}"`,
    ...config,
    '',
  ].join('\n');
}
