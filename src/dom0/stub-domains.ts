/** The stub domains of `paravane build`, in the order in which its help shows them. */

/** What a service is in one of its two forms. */
export interface StubDomainForm {
  /** What it takes to run well. */
  readonly memory_mib: number;
  /** Further lines for xl's configuration. */
  readonly config?: readonly string[];
}

export interface StubDomain {
  /** As it is typed, and the folder of stubdoms/ that it is in. */
  readonly name: string;
  /** One line, beginning in lower case. */
  readonly summary: string;
  /** What xl is to do when it has crashed. */
  readonly onCrash: 'restart' | 'destroy';
  /** On our own kernel. */
  readonly unikernel: StubDomainForm;
  /** On Debian's, where the service can be had so: what follows `paravane run`. */
  readonly linux?: StubDomainForm & { readonly words: readonly string[] };
}

/** The lines of a driver domain whose guests name its xvda in this way. */
const diskConfig = (target: string) => [
  'driver_domain = 1',
  "disk = [ 'format=raw,vdev=xvda,access=rw,target=/path/to/disk.img' ]",
  "# In a guest's configuration, once `paravane run driver-domain` has started this one:",
  `# disk = [ 'format=raw,vdev=xvda,access=rw,backend=blkback,target=${target}' ]`,
];

/** Those of a driver domain whose own interface leads out of the network of its guests. */
const netConfig = [
  'driver_domain = 1',
  "vif = [ 'bridge=xenbr0' ]",
  "# In a guest's configuration, once `paravane run driver-domain` has started this one:",
  "# vif = [ 'mac=00:16:3e:00:00:01,backend=netback' ]",
];

/** Those of the domain that guests' consoles are given to. */
const consoleConfig = [
  'driver_domain = 1',
  '# Guests have their consoles here that are made once these two have started:',
  '# paravane run console-relay --log all; paravane run driver-domain --config THIS-FILE',
];

export const stubDomains: readonly StubDomain[] = [
  {
    name: 'xenstored',
    summary: 'serve xenstore from a domain of its own',
    onCrash: 'restart',
    unikernel: {
      memory_mib: 8,
      config: [
        '# This is for a look at it. The xenstored of a host is not started by xl:',
        '# paravane run store-domain --image /path/to/xenstored.elf',
      ],
    },
  },
  {
    name: 'xenconsoled',
    summary: 'serve the console of every guest from a domain of its own, with a relay in dom0',
    onCrash: 'destroy',
    unikernel: { memory_mib: 32, config: consoleConfig },
  },
  {
    name: 'blkback',
    summary: 'serve disks to guests from a domain of its own, a driver domain',
    // `paravane run driver-domain` starts it again, which xl could not do under the same domid.
    onCrash: 'destroy',
    unikernel: { memory_mib: 16, config: diskConfig('vbd:51712') },
    linux: {
      memory_mib: 384,
      config: diskConfig('/dev/xvda'),
      words: ['blkback', '--driver-domain'],
    },
  },
  {
    name: 'netback',
    summary: 'serve network interfaces to guests from a domain of its own, a driver domain',
    onCrash: 'destroy',
    unikernel: { memory_mib: 32, config: netConfig },
    linux: {
      memory_mib: 384,
      config: netConfig,
      words: ['netback', '--driver-domain', '--switch', '--uplink', '0'],
    },
  },
  {
    name: 'echo',
    summary: 'say every line that is typed at the console',
    onCrash: 'restart',
    unikernel: { memory_mib: 8 },
  },
];

/** A program of a user's own, with room for some disks, networks or streams. */
export const ownStubDomain = (name: string): StubDomain => ({
  name,
  summary: 'a program of a user',
  onCrash: 'destroy',
  unikernel: { memory_mib: 16 },
});

/** The composition, below the checkout. */
export const entryOf = ({ name }: StubDomain) => `stubdoms/${name}/unikernel.ts`;

function xlConfig(stubDomain: StubDomain, form: StubDomainForm, boot: readonly string[]): string {
  const { name, onCrash } = stubDomain;
  return [
    `name = "${name}"`,
    'type = "pvh"',
    ...boot,
    `memory = ${form.memory_mib}`,
    // Said, since xl sets what xl.conf says of processors aside where their number is left out.
    'vcpus = 1',
    `on_crash = "${onCrash}"`,
    ...(form.config ?? []),
    '',
  ].join('\n');
}

/** The configuration with which xl starts the unikernel in the file `image`. */
export function unikernelConfig(stubDomain: StubDomain, image: string): string {
  // Xen's own need for a domain this small is more than xl reckons.
  const boot = [`kernel = "${image}"`, 'shadow_memory = 2'];
  return xlConfig(stubDomain, stubDomain.unikernel, boot);
}

/** The configuration with which xl starts `kernel` with the initramfs in the file `image`. */
export function linuxConfig(
  stubDomain: StubDomain,
  form: StubDomainForm,
  kernel: string,
  image: string,
): string {
  const boot = [
    `kernel = "${kernel}"`,
    `ramdisk = "${image}"`,
    'extra = "console=hvc0 quiet panic=-1"',
    'on_reboot = "destroy"',
  ];
  return xlConfig(stubDomain, form, boot);
}
