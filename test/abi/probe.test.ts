/** Every layout and constant of src/abi against the installed Xen headers. */
import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { BlkifResponse } from '../../src/abi/io/blkif.ts';
import { type FieldType, i16, type Struct, struct, u8, u16, u64 } from '../../src/base/layout.ts';
import { constantsInC, missingForProbe, type WordSize } from './c-compiler.ts';

type AnyStruct = Struct<Record<string, FieldType<unknown>>>;

/** Modules that need a header besides their own. */
const furtherHeaders: Record<string, readonly string[]> = {
  // ring.h only has macros; blkif.h makes a ring of them.
  'io/ring': ['xen/io/blkif.h'],
};

const newer = 'newer than the headers of Xen 4.17';

/** Modules whose header no package installs, and where its numbers were compared by hand. */
const headerNotInstalled: Record<string, string> = {
  xenstore_state: 'tools/xenstore/include/xenstore_state.h stays in the Xen tree',
};

/** What cannot be compared, and why. */
const notInHeader: Record<string, string> = {
  'io/ring Sring.size': 'C declares a first slot, of the size that the protocol needs',
  'io/ring Sring.ring size': 'C declares a first slot, of the size that the protocol needs',
  'io/xs_wire XS_GET_FEATURE': newer,
  'io/xs_wire XS_SET_FEATURE': newer,
  'io/xs_wire XS_GET_QUOTA': newer,
  'io/xs_wire XS_SET_QUOTA': newer,
  'io/xs_wire XENSTORE_SERVER_FEATURE_WATCHDEPTH': newer,
  'io/xs_wire XENSTORE_SERVER_FEATURE_DOMID_ANY': newer,
  'xen DOMID_ANY': newer,
};

const abiDirectory = join(dirname(fileURLToPath(import.meta.url)), '../../src/abi');
const modules = readdirSync(abiDirectory, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.slice(0, -'.ts'.length))
  .filter((module) => headerNotInstalled[module] === undefined)
  .sort();

/** One number of ours and the C expression that must have the same value. */
interface Comparison {
  readonly what: string;
  readonly ours: number;
  readonly inC: string;
}

function isStruct(value: unknown): value is AnyStruct {
  return typeof value === 'object' && value !== null && 'cName' in value && 'offset' in value;
}

/** Of a scalar field, whether it is signed: the only thing that its size and place do not tell. */
function signedness(type: FieldType<unknown>): boolean | undefined {
  const allOnes = new DataView(new Uint8Array(type.size).fill(0xff).buffer);
  const value = type.size === 0 ? undefined : type.load(allOnes, 0);
  return typeof value === 'number' ? value < 0 : undefined;
}

// A handle of guest memory is a structure in C, and neither signed nor comparable with 0.
const signedInC = 'signed char: 1, short: 1, int: 1, long: 1, long long: 1';

function compareStruct(exportName: string, layout: AnyStruct): Comparison[] {
  const comparisons: Comparison[] = [
    { what: `${exportName}.size`, ours: layout.size, inC: `sizeof(${layout.cName})` },
  ];
  for (const [name, type] of Object.entries(layout.fields)) {
    const cField = layout.cFields[name] ?? name;
    const inC = `((${layout.cName} *)0)->${cField}`;
    comparisons.push(
      {
        what: `${exportName}.${name} offset`,
        ours: layout.offset[name]!,
        inC: `offsetof(${layout.cName}, ${cField})`,
      },
      { what: `${exportName}.${name} size`, ours: type.size, inC: `sizeof(${inC})` },
    );
    const signed = signedness(type);
    if (signed !== undefined) {
      comparisons.push({
        what: `${exportName}.${name} is signed`,
        ours: Number(signed),
        inC: `_Generic(${inC}, ${signedInC}, default: 0)`,
      });
    }
  }
  return comparisons;
}

function compareExport(name: string, value: unknown): Comparison[] {
  if (isStruct(value)) return compareStruct(name, value);
  if (typeof value === 'number') return [{ what: name, ours: value, inC: name }];
  if (typeof value === 'string') {
    const text = JSON.stringify(value);
    return [
      { what: `${name} is ${text}`, ours: 1, inC: `__builtin_strcmp(${name}, ${text}) == 0` },
    ];
  }
  throw new Error(`the probe does not know how to compare ${name}`);
}

/** Layouts of 32-bit x86 guests are told by their names. */
const wordSizeOf = (exportName: string): WordSize => (/[a-z]X86_32$/.test(exportName) ? 32 : 64);

/** Each difference between a module's exports and the header `xen/<module>.h`, in words. */
function differences(module: string, exported: object): string[] {
  const found: string[] = [];
  for (const wordSize of [64, 32] as const) {
    const comparisons = Object.entries(exported)
      .filter(([name]) => wordSizeOf(name) === wordSize)
      .flatMap(([name, value]) => compareExport(name, value))
      .filter(({ what }) => notInHeader[`${module} ${what}`] === undefined);
    if (comparisons.length === 0) continue;
    const theirs = constantsInC(
      [`xen/${module}.h`, ...(furtherHeaders[module] ?? [])],
      comparisons.map(({ inC }) => inC),
      wordSize,
    );
    comparisons.forEach(({ what, ours }, index) => {
      if (ours !== theirs[index]) found.push(`${what}: ${ours} here, ${theirs[index]} in C`);
    });
  }
  return found;
}

const missing = missingForProbe();
const title = missing === undefined ? 'the installed Xen headers' : `skipped: ${missing}`;

describe.skipIf(missing !== undefined)(title, () => {
  test.each(modules)('src/abi/%s.ts says what its header says', async (module) => {
    const exported: object = await import(join(abiDirectory, `${module}.ts`));
    expect(differences(module, exported)).toEqual([]);
  });

  test('a wrong constant or text is found', () => {
    expect(differences('io/blkif', { BLKIF_RSP_ERROR: 1 })).toEqual([
      'BLKIF_RSP_ERROR: 1 here, -1 in C',
    ]);
    expect(differences('io/protocols', { XEN_IO_PROTO_ABI_X86_64: 'x86-abi' })).toEqual([
      'XEN_IO_PROTO_ABI_X86_64 is "x86-abi": 1 here, 0 in C',
    ]);
  });

  test('a wrong size, offset or sign in a layout is found, for either word size', () => {
    const wrongStatus = struct('struct blkif_response', { id: u64, operation: u8, status: u16 });
    expect(differences('io/blkif', { wrongStatus })).toEqual([
      'wrongStatus.status is signed: 0 here, 1 in C',
    ]);
    const shifted = struct(
      'struct blkif_response',
      { id: u64, pad: u64, status: i16 },
      {
        cFields: { pad: 'operation' },
      },
    );
    expect(differences('io/blkif', { shifted })).toEqual([
      'shifted.size: 24 here, 16 in C',
      'shifted.pad size: 8 here, 1 in C',
      'shifted.status offset: 16 here, 10 in C',
    ]);
    expect(differences('io/blkif', { responseX86_32: BlkifResponse })).toEqual([
      'responseX86_32.size: 16 here, 12 in C',
    ]);
  });

  test('a name that the header does not have is refused', () => {
    expect(() => differences('xen', { VIRQ_NO_SUCH: 3 })).toThrow(/VIRQ_NO_SUCH/);
  });
});
