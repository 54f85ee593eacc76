// The floors of the architecture: imports point down only. See README.md, "A short tour".
const floors = [
  ['base'],
  ['abi'],
  ['hypervisor'],
  ['ring'],
  ['xenstore'],
  ['xenbus'],
  ['block', 'net', 'console', 'vchan', 'xenstored', 'xenconsoled'],
  ['node'],
];

const room = (names) => `^src/(${names.join('|')})/`;
const noModule = { dependencyTypes: ['core'] };

const upward = floors.map((names, floor) => ({
  name: `floor-${floor}-looks-down`,
  comment: `${names.join(', ')} may only import floors below`,
  severity: 'error',
  from: { path: room(names) },
  to: {
    path: `${room(
      floors
        .slice(floor + 1)
        .flat()
        .concat('dom0'),
    )}|^stubdoms/|^test/|^scripts/`,
  },
}));

const sideways = floors[6].flatMap((name) =>
  floors[6]
    .filter((other) => other !== name)
    .filter((other) => !(name === 'xenconsoled' && other === 'console'))
    .map((other) => ({
      name: `${name}-does-not-know-${other}`,
      severity: 'error',
      from: { path: room([name]) },
      to: { path: room([other]) },
    })),
);

module.exports = {
  forbidden: [
    ...upward,
    ...sideways,
    {
      name: 'portable-rooms-know-no-node',
      comment: 'floors 0 to 6 run in stub domains and in the simulator too',
      severity: 'error',
      from: {
        path: room(floors.slice(0, 7).flat()),
        pathNot: '^src/hypervisor/linux/',
      },
      to: noModule,
    },
    {
      name: 'portable-rooms-use-no-package',
      severity: 'error',
      from: { path: room(floors.slice(0, 7).flat()), pathNot: '^src/hypervisor/linux/' },
      to: { path: 'node_modules' },
    },
    {
      name: 'only-compositions-choose-a-binding',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(hypervisor|dom0)/' },
      to: { path: '^src/hypervisor/(linux|sim|unikernel)/' },
    },
    {
      name: 'front-does-not-know-back',
      comment: 'they meet in tests only; files and folders of an end begin with front or back',
      severity: 'error',
      from: { path: '^src/[a-z]+/front', pathNot: '^src/ring/' },
      to: { path: '^src/[a-z]+/back', pathNot: '^src/ring/' },
    },
    {
      name: 'back-does-not-know-front',
      severity: 'error',
      from: { path: '^src/[a-z]+/back', pathNot: '^src/ring/' },
      to: { path: '^src/[a-z]+/front', pathNot: '^src/ring/' },
    },
    {
      name: 'stubdoms-are-below-the-tooling',
      severity: 'error',
      from: { path: '^stubdoms/' },
      to: { path: '^src/dom0/|^test/' },
    },
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    { name: 'no-orphan-imports', severity: 'error', from: {}, to: { couldNotResolve: true } },
  ],
  options: {
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: { extensions: ['.ts', '.js', '.cjs', '.json'] },
  },
};
